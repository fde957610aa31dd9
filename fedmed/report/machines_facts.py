"""How a federation between machines went, in plain words: for the model card and the Report tab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fedmed.task import model_title


def machines_facts(report: Mapping[str, Any]) -> dict[str, str]:
    """Return who took part, over what and how guarded, by heading; of other runs, nothing."""
    federation = report.get("federation", {})
    if "engine" not in federation:
        return {}
    return {
        "Engine": f"{federation['engine']} {federation.get('version', '')}".strip(),
        **_attendance(federation.get("hospitals", []), federation.get("rounds", [])),
        "Connections": "encrypted (TLS)" if federation.get("tls") else "not encrypted",
        "Hospitals are known by": str(federation.get("authentication", "nothing that was told")),
        "Privacy of updates": str(federation.get("privacy", "nothing that was told")),
    }


def machines_section(report: Mapping[str, Any]) -> str:
    """The card's section of it; empty for other runs."""
    facts = machines_facts(report)
    lines = [f"- {heading}: {words}." for heading, words in facts.items()]
    return "\n".join(["## Between machines", "", *lines]) if lines else ""


def _attendance(hospitals: list[str], rounds: list[Mapping[str, Any]]) -> dict[str, str]:
    full = [one for one in rounds if set(one["hospitals"]) >= set(hospitals)]
    told = {"Rounds with every hospital": f"{len(full)} of {len(rounds)}"}
    for one in rounds:
        if one in full:
            continue
        away = [
            model_title(name) + (f" ({one['missing'][name]})" if name in one["missing"] else "")
            for name in hospitals
            if name not in one["hospitals"]
        ]
        told[f"Round {one['round']}"] = f"without {', '.join(away)}"
    return told
