"""Mail over encrypted ways, to real servers with a certificate of their own: who is not trusted gets no password."""

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from alert_receivers import Post
from resources.alert_channels import Letter, Mail, NotDelivered

LETTER = Letter("trouble", "run", "the disk is full", "text", "now", "then", "do", "https://ui.example", "1")
OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificate: apt-get install openssl")

each_way = pytest.mark.parametrize("scheme", ["smtp", "smtps"])


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1, with its key in the same file, that nobody knows yet."""
    file = tmp_path / "server.pem"
    made = subprocess.run(
        [
            *(str(OPENSSL), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=knightshift"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "-", "-out", "-"),
        ],
        check=True,
        capture_output=True,
    )
    file.write_bytes(made.stdout)
    return file


@pytest.fixture
def server(certificate: Path) -> Callable[[str], Post]:
    """A mail server that encrypts from the first byte (smtps), or once it is asked to (smtp)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return lambda scheme: Post(certificate=context, encrypts_at_once=scheme == "smtps")


@each_way
def test_mail_and_password_go_through_an_encrypted_way(
    server: Callable[[str], Post], certificate: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with server(scheme).up() as post:
        server_and_login = f"{scheme}://me:sesame@127.0.0.1:{post.port}"  # pragma: allowlist secret
        Mail(server_and_login, "k@example.org", ("a@example.org",)).deliver(LETTER)
    assert post.logins == [("me", "sesame")]
    assert [mail["Subject"] for mail in post.mails] == [" ".join(LETTER.title.split())]


@each_way
def test_a_certificate_that_nobody_vouches_for_gets_neither(server: Callable[[str], Post], scheme: str) -> None:
    with server(scheme).up() as post:
        mail = Mail(f"{scheme}://me:sesame@127.0.0.1:{post.port}", "k@example.org", ("a@example.org",))
        with pytest.raises(NotDelivered, match="certificate verify failed"):
            mail.deliver(LETTER)
    assert (post.logins, post.mails) == ([], [])


@each_way
def test_a_wrong_password_is_told_without_it(
    server: Callable[[str], Post], certificate: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with server(scheme).up() as post:
        mail = Mail(f"{scheme}://me:wrong-sesame@127.0.0.1:{post.port}", "k@example.org", ("a@example.org",))
        with pytest.raises(NotDelivered, match="Authentication credentials invalid") as caught:
            mail.deliver(LETTER)
    assert post.mails == []
    assert "wrong-sesame" not in str(caught.value)
