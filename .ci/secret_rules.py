"""What the search for secrets looks for beyond what detect-secrets knows: secrets of the services that we talk to."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class ServiceSecretDetector(RegexBasedDetector):
    """Tokens of Lichess, keys in addresses, and webhooks whose address is the secret."""

    secret_type = "Secret of a service"  # noqa: S105  # its name  # pragma: allowlist secret

    denylist = (
        re.compile(r"\b(?:lip|lio)_[A-Za-z0-9]{8,}"),
        re.compile(r"\bapi_?key=([A-Za-z0-9_-]{8,})", re.IGNORECASE),
        re.compile(r"https://(?:[\w.-]+/hooks|hooks\.[\w.-]+|[\w.-]+/api/webhooks)/\S{16,}"),
    )
