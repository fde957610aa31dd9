"""Train a pneumonia classifier centrally and federated, measure both, write a snapshot.

The story of a run: X-rays become features of a frozen backbone (prepare), heads are trained on them
centrally, federated and at each hospital alone (fit), one evaluator scores all (score), and a
snapshot is written (save) and published; with --train network the same of whole networks, which
train on the X-rays themselves. `python train.py --help` lists the options.
"""

from __future__ import annotations

from pathlib import Path

from fedmed import cli
from fedmed.experiment.settings import Settings, parse


def train(settings: Settings) -> None:
    """Train, evaluate and write the snapshot, while no other run writes to the same output."""
    # Imported here, so that --help and a mistaken option are answered at once.
    from fedmed.experiment.fit import fit
    from fedmed.experiment.prepare import prepare
    from fedmed.experiment.save import save
    from fedmed.experiment.score import score
    from fedmed.experiment.timing import Stopwatch
    from fedmed.progress import step
    from fedmed.report.in_short import in_short
    from fedmed.report.table import table
    from fedmed.snapshot import publish
    from fedmed.snapshot.replace import check_output, claim

    check_output(settings.output)
    with claim(settings.output):
        watch = Stopwatch()
        if settings.push_to:
            publish.check_access(settings.push_to, private=settings.private)
        if settings.train == "network":
            from fedmed.experiment.networks import train_networks

            report = train_networks(settings, watch)
        else:
            prepared = prepare(settings, watch)
            fitted = fit(settings, prepared, watch)
            with step("Scoring every model"):
                report = score(settings, prepared, fitted, watch)
            with step("Writing the snapshot"):
                save(settings, prepared, fitted, report)
    print(f"\n{table(report)}\n\n{in_short(report)}")
    app = Path(__file__).with_name("app.py")
    if app.is_relative_to(Path.cwd()):
        app = app.relative_to(Path.cwd())
    line = cli.command(str(app), FEDMED_SNAPSHOT=str(settings.output))
    print(f"\nSnapshot in {settings.output}. To look at it:\n  {line}")


def push(settings: Settings, repo: str) -> None:
    """Publish the snapshot that was written."""
    from fedmed.snapshot import publish

    print(f"Published: {publish.publish(settings.output, repo, private=settings.private)}")


def run(settings: Settings) -> int:
    """Train and, where asked, publish. Returns the exit status."""

    def kept() -> str:
        from fedmed.experiment.run_state import kept_words

        return kept_words(settings)

    status = cli.run(lambda: train(settings), resume_hint=kept)
    repo = settings.push_to
    if status or not repo:
        return status
    private = ["--private"] if settings.private else []
    again = cli.command("-m", "fedmed.push", str(settings.output), repo, *private)
    return cli.run(
        lambda: push(settings, repo),
        resume_hint=f"The snapshot is kept. To publish it: {again}",
    )


if __name__ == "__main__":
    raise SystemExit(run(parse()))
