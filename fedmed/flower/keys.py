"""Certificates and keys of a federation: who the server is, and which hospitals may speak to it.

An authority signs the server's certificate, so that hospitals know it; every hospital has a key of
its own, whose public half is registered at the server. Elliptic curves: P-256 for TLS, P-384 for
hospitals, as Flower asks for.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedmed.errors import UserError

DAYS = 397  # as long as browsers trust a server's certificate
LOOPBACK = ("localhost", "127.0.0.1")
CA, CA_KEY = "ca.crt", "ca.key"
SERVER, SERVER_KEY = "server.crt", "server.key"
HOSPITALS = "hospitals"  # public keys, one a hospital


def make(folder: Path, hosts: Sequence[str], hospitals: Sequence[str]) -> list[Path]:
    """Write an authority, a certificate for the server at `hosts`, and keys of hospitals.

    What is there already stays, so that a hospital can be added later. Private keys can be read by
    their owner alone. Returns what was written.

    Raises:
        UserError: there is an authority but not its key, to sign with, or half of another pair.
    """
    (folder / HOSPITALS).mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    if not (folder / CA).exists():
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder / CA_KEY, _private(key), written)
        _write(folder / CA, _authority(key), written)
    if not (folder / SERVER).exists():
        try:
            signer = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
        except OSError as error:
            raise UserError(f"{folder / CA_KEY} is needed to sign with: put it back") from error
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        authority = x509.load_pem_x509_certificate((folder / CA).read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder / SERVER_KEY, _private(key), written)
        _write(folder / SERVER, _server(key, hosts, authority, signer), written)
    for name in hospitals:
        private, public = folder / f"{name}.key", folder / HOSPITALS / f"{name}.pub"
        if public.exists():
            continue
        own = ec.generate_private_key(ec.SECP384R1())
        openssh = serialization.PrivateFormat.OpenSSH
        _write(private, _private(own, openssh), written)
        line = own.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        _write(public, line + b"\n", written)
    return written


def hosts(certificate: Path) -> list[str]:
    """Return the names and addresses that a server's certificate is for.

    Raises:
        UserError: the file is no certificate, or none that names any.
    """
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound) as error:
        raise UserError(
            f"{certificate} is no certificate that names a host: delete it, and python -m "
            "fedmed.federation_keys makes another"
        ) from error
    return [
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]


def _authority(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = _name("FedMed federation authority")
    builder = _certificate(name, name, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = dict.fromkeys(
        [
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    signs = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage)
    builder = builder.add_extension(signs, critical=True)
    identity = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(identity, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _server(
    key: ec.EllipticCurvePrivateKey,
    hosts: Sequence[str],
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
) -> bytes:
    builder = _certificate(_name(hosts[0]), authority.subject, key.public_key())
    # By loopback the coordinator itself speaks to its server.
    everyone = dict.fromkeys([*hosts, *LOOPBACK])
    names = x509.SubjectAlternativeName([_host(host) for host in everyone])
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
    )
    builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(signed_by, critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=DAYS))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private(
    key: ec.EllipticCurvePrivateKey,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _write(path: Path, content: bytes, written: list[Path]) -> None:
    """Write a new file, which its owner alone can read where it is private.

    Raises:
        UserError: it is there, and what is written with it is not: a run was broken off.
    """
    mode = 0o600 if path.suffix == ".key" else 0o644
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise UserError(
            f"{path} is there without the other half of its pair, as if making keys had been "
            "broken off: delete it, and run this again"
        ) from error
    with os.fdopen(opened, "wb") as file:
        file.write(content)
    written.append(path)
