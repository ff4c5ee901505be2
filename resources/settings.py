"""Settings: every value that a user may change, from the environment or `.env`, with the prefix KSHIFT_."""

import difflib
import os
import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, NoDecode, SettingsConfigDict

from resources.addresses import check_command, check_mail, check_smtp, check_webhook
from resources.errors import UserError
from resources.names import user_id
from resources.redaction import hide

PREFIX = "KSHIFT_"
STORE_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
UNFINISHED = ".restoring"
"""A file in a home into which a backup is being restored, or was, by a process that did not come to its end."""
OF_SOURCES = ("lichess.player_games", "lichess.tv_games", "lichess.dump_games")
"""Tables of what sources sent, from which games are cleaned."""
# In the path of a table, delta-rs, Polars or DuckDB take these for a wildcard, an escape or a partition.
MISREAD = frozenset("%*?[]'=^|#\\")


class Settings(BaseSettings):
    """All settings of one lakehouse; `load_settings` makes them and words the errors."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,  # the default home too becomes an absolute path
    )

    home: Path = Field(Path("data"), description="Folder of all state; another folder is another, complete lakehouse")
    lake_uri: str = Field(
        "", description="Where the tables lie: a folder or s3://bucket/prefix; default $KSHIFT_HOME/lake"
    )
    lichess_url: str = Field("https://lichess.org", description="Lichess's API")
    lichess_dump_url: str = Field("https://database.lichess.org", description="Server of the monthly dumps")
    dump_dir: Path | None = Field(
        None, description="Folder with dump files that are already here; nothing is downloaded then"
    )
    lichess_token: SecretStr | None = Field(
        None, description="Personal API token (no scope needed): exports run faster"
    )
    players: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Players to follow, comma separated, beside those of `kshift track`"
    )
    contact: str = Field("", description="E-mail or URL that tells Lichess whom to ask about this client's requests")
    quiet_seconds: float = Field(
        60, ge=60, le=3600, description="Silence after Lichess answers 429; doubles up to an hour if it does so again"
    )
    lookback_days: int = Field(
        14, ge=0, le=3660, description="How far back each run looks again for games that finished or were analysed late"
    )
    page_games: int = Field(
        300, ge=1, le=10_000, description="Games a request asks for: a kill loses at most one such page"
    )
    pending_games: int = Field(
        3_000, ge=0, le=100_000, description="Unfinished games that each run asks for by id at most, 300 a request"
    )
    dump_pending: Literal["none", "tracked", "all"] = Field(
        "tracked",
        description="Whose games that a dump has without a result are asked for by id: none, tracked (players) or all",
    )
    profile_days: int = Field(
        30, ge=1, le=3_660, description="A player's profile is fetched anew when the copy is older than so many days"
    )
    profile_budget: int = Field(
        3_000, ge=0, le=120_000, description="Profiles that each run asks for at most, 300 a request; 0 for none"
    )
    workers: int = Field(
        0, ge=0, le=1_024, description="Processes that analytics of single games are spread over; 0 for one a core"
    )
    duckdb_memory_mb: int = Field(
        1_024,
        ge=256,
        le=1_048_576,
        description="Memory that DuckDB takes to make a mart; what is more goes to the disk",
    )
    executor: Literal["in_process", "multiprocess", "celery"] = Field(
        "in_process",
        description="How assets are made: in_process, multiprocess (a process each) or celery (by `kshift worker`s)",
    )
    celery_broker: SecretStr | None = Field(
        None, description="Redis through which Celery's workers get work and answer; default redis://127.0.0.1:6379/0"
    )
    celery_redo_seconds: int = Field(
        3_600,
        ge=10,
        le=604_800,
        description="Work of a vanished worker begins anew elsewhere after so long; longer than any asset takes",
    )
    celery_runs: int = Field(
        4, ge=1, le=1_024, description="Months that `kshift run` gives to Celery's workers at once, 200 MB each"
    )
    dagster_postgres: SecretStr | None = Field(
        None,
        description="Postgres for Dagster's runs and events, postgresql://user:password@host/database; else files",
    )
    engine: str = Field(
        "", description="Chess engine that speaks UCI, its path or name; without a value stockfish is looked for"
    )
    engine_nodes: int = Field(
        50_000, ge=100, le=1_000_000_000, description="Nodes that the engine looks at in each position"
    )
    engine_games: int = Field(
        1_000,
        ge=0,
        le=10_000_000,
        description="Games that the engine evaluates in a run at most; 0 for none",
    )
    data_age_days: int = Field(
        45, ge=1, le=36_600, description="A table whose newest game is older than this many days is reported"
    )
    fresh_hours: int = Field(
        26,
        ge=1,
        le=8_784,
        description="Marts and published tables are stale when they were not made anew for so many hours",
    )
    schedules: Literal["on", "off"] = Field(
        "off", description="Whether ingestion, analytics, profiles and upkeep run on schedules at first: on or off"
    )
    keep_days: int = Field(
        7, ge=1, le=3_660, description="`kshift maintain` removes files that nothing needs after so many days"
    )

    keep_snapshots_days: int = Field(
        0,
        ge=0,
        le=36_600,
        description="`kshift retain` removes older snapshots but the latest and pinned ones; 0: none",
    )
    keep_logs_days: int = Field(
        0, ge=0, le=36_600, description="`kshift retain` removes older logs of runs that are in ops.runs; 0: none"
    )
    keep_downloads_days: int = Field(
        0, ge=0, le=36_600, description="`kshift retain` removes older downloads whose month is in the lake; 0: none"
    )
    keep_quarantine_days: int = Field(
        0, ge=0, le=36_600, description="`kshift retain` removes older answers from the quarantine; 0: none"
    )
    keep_versions_days: int = Field(
        0,
        ge=0,
        le=36_600,
        description="`kshift retain` removes older documents of games with a newer one; 0: none",
    )
    keep_documents: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Sources whose cleaned documents `kshift retain` removes, e.g. lichess.player_games=365 (days), …",
    )

    alert_log: str = Field(
        "", description="File that gets every alert as a line of JSON; default $KSHIFT_HOME/alerts.jsonl"
    )
    alert_webhook: SecretStr | None = Field(
        None, description="Address that gets alerts in Slack's form, which Mattermost and others take too"
    )
    alert_smtp: SecretStr | None = Field(
        None, description="Mail server for alerts, smtp://user:password@host:587 or smtps://…"
    )
    alert_mail_from: str = Field("", description="Sender of that mail; default the first receiver")
    alert_mail_to: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Receivers of that mail, comma separated"
    )
    alert_command: str = Field(
        "", description="Command that gets each alert as JSON on its standard input; no shell reads it"
    )
    alerts_per_hour: int = Field(
        30, ge=1, le=3_600, description="Alerts that each way gets in an hour at most; the last tells of all that wait"
    )
    ui_url: str = Field("http://127.0.0.1:3000", description="Where people open the web UI: links in alerts begin so")
    disk_free_gb: float = Field(2, ge=0, le=1_000_000, description="Less free space than this, in GB, is reported")
    daemon_silent_minutes: int = Field(
        0, ge=0, le=10_080, description="A daemon silent for so long is reported; 0 where none is meant to run"
    )

    @field_validator("players", "alert_mail_to", "keep_documents", mode="before")
    @classmethod
    def _split_players(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("players")
    @classmethod
    def _check_players(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(dict.fromkeys(user_id(name) for name in value))
        except UserError as error:
            raise ValueError(str(error)) from error

    @field_validator("keep_documents")
    @classmethod
    def _check_documents(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            table, _, days = one.partition("=")
            if table not in OF_SOURCES or not re.fullmatch(r"[1-9][0-9]{0,4}", days):
                raise ValueError(f"write table=days, with one of {', '.join(OF_SOURCES)}, e.g. {OF_SOURCES[0]}=365")
        return value

    @field_validator("alert_webhook", "alert_smtp")
    @classmethod
    def _check_receiver(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value:
            (check_webhook if info.field_name == "alert_webhook" else check_smtp)(value.get_secret_value())
        return value

    @field_validator("alert_mail_from", "alert_mail_to", "alert_command")
    @classmethod
    def _check_alerts(cls, value: str | tuple[str, ...], info: ValidationInfo) -> str | tuple[str, ...]:
        is_command = info.field_name == "alert_command"
        for one in [value] if isinstance(value, str) else value:
            if one:
                (check_command if is_command else check_mail)(one)
        return value

    @field_validator("lichess_url", "lichess_dump_url", "ui_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            is_good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        except ValueError:  # a bad port or IPv6 address
            is_good = False
        if not is_good or parts.query or parts.fragment or parts.username or not _is_header_text(value):
            raise ValueError("it must be an address such as https://lichess.org, without user, password or query")
        return value.rstrip("/")

    @field_validator("contact")
    @classmethod
    def _check_contact(cls, value: str) -> str:
        if not _is_header_text(value):
            raise ValueError("it must be an e-mail address or a URL, in ASCII")
        return value

    @field_validator("lichess_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value and (not _is_header_text(value.get_secret_value()) or " " in value.get_secret_value()):
            raise ValueError("it must be a token such as lip_ and letters or digits, without blanks or line ends")
        return value

    @field_validator("celery_broker")
    @classmethod
    def _check_broker(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.fullmatch(r"rediss?://[^/\s]+(/\d+)?", value.get_secret_value()):
            raise ValueError("it must be the address of a Redis, such as redis://127.0.0.1:6379/0")
        return value

    @field_validator("dagster_postgres")
    @classmethod
    def _check_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        # SQLAlchemy 2.1 reads the bare scheme as another driver than the one that dagster-postgres brings.
        found = re.fullmatch(r"(?:postgresql|postgres)(?:\+psycopg2)?(://[^/\s]+/[^/\s]+)", value.get_secret_value())
        if not found:
            raise ValueError("it must be an address such as postgresql://user:password@host:5432/database")
        return SecretStr(f"postgresql+psycopg2{found[1]}")

    @field_validator("home", "dump_dir")
    @classmethod
    def _make_absolute(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        path = value.expanduser().absolute()
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path} is a file, it must be a folder")
        return path

    @model_validator(mode="after")
    def _place_the_lake(self) -> Self:
        name = f"{PREFIX}LAKE_URI" if self.lake_uri else f"{PREFIX}HOME"
        uri = self.lake_uri or str(self.home / "lake")
        if not uri.startswith("s3://"):
            if "://" in uri:
                raise ValueError(f"{name}: {uri} must be a folder or an address such as s3://bucket/prefix")
            uri = str(Path(uri).expanduser().absolute())
        elif not urlsplit(uri).hostname:
            raise ValueError(f"{name}: {uri} names no bucket: write s3://bucket/prefix")
        if bad := sorted(MISREAD & set(uri)) + ["a control character"] * (not uri.isprintable()):
            raise ValueError(
                f"{name}: the lake's folder {uri!r} holds {' '.join(bad)}, which table readers misread: "
                "choose another folder"
            )
        object.__setattr__(self, "lake_uri", uri)  # the model is frozen for everybody else
        return self

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Self:
        if bool(self.alert_smtp) != bool(self.alert_mail_to):
            raise ValueError(f"{PREFIX}ALERT_SMTP and {PREFIX}ALERT_MAIL_TO belong together: give both, or neither")
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret of the settings, what is secret inside of addresses, and the keys of an object store."""
        found = [value.get_secret_value() for value in dict(self).values() if isinstance(value, SecretStr)]
        passwords = [urlsplit(one).password or "" for one in found if "://" in one]
        webhooks = [urlsplit(one).path.rpartition("/")[2] for one in found if one.startswith("http")]
        store = [os.environ.get(name, "") for name in STORE_SECRETS]
        return tuple(filter(None, [*found, *passwords, *map(unquote, passwords), *webhooks, *store]))

    @property
    def dagster_home(self) -> Path:
        """Dagster's folder: $DAGSTER_HOME, or inside this lakehouse."""
        return Path(os.environ.get("DAGSTER_HOME") or self.home / "dagster").absolute()

    @property
    def max_age(self) -> timedelta:
        """How old what promises freshness may get."""
        return timedelta(hours=self.fresh_hours)

    @property
    def runs_elsewhere(self) -> int:
        """Runs that may be under way at once in other processes; 0 where this process makes assets itself."""
        return {"in_process": 0, "multiprocess": 1, "celery": self.celery_runs}[self.executor]

    @property
    def alert_file(self) -> Path:
        """The file that gets every alert."""
        return Path(self.alert_log).expanduser().absolute() if self.alert_log else self.home / "alerts.jsonl"

    @property
    def published(self) -> Path:
        """Folder of the published snapshots."""
        return self.home / "published"

    @property
    def state(self) -> Path:
        """Folder of locks, quiet times and circuit breakers."""
        return self.home / "state"

    @property
    def downloads(self) -> Path:
        """Folder of downloaded dump files."""
        return self.home / "downloads"


def _is_header_text(value: str) -> bool:
    return value.isascii() and value.isprintable()


def documents_days(given: Iterable[str]) -> dict[str, int]:
    """Table → days, of `keep_documents`."""
    return {table: int(days) for table, _, days in (one.partition("=") for one in given)}


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, `.env` and overrides; a wrong or unknown one raises UserError."""
    _refuse_unknown(os.environ, "")
    try:
        _refuse_unknown(DotEnvSettingsSource(Settings).env_vars, " in .env")
        settings = Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks each of them
    except UnicodeDecodeError as error:
        raise UserError("the file .env is not text in UTF-8: write it anew, see .env.example") from error
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{PREFIX}{str(first['loc'][0]).upper()}: " if first["loc"] else ""
        message = first["msg"].removeprefix("Value error, ")
        if name:
            message = message[0].lower() + message[1:]
        # The cause would show what the user wrote, and that may be a secret.
        raise UserError(f"{name}{message} (see .env.example)") from None
    hide(*settings.secrets)
    return settings


def _refuse_unknown(names: Iterable[str], where: str) -> None:
    known = {name.upper() for name in Settings.model_fields}
    for name in sorted(name.upper().removeprefix(PREFIX) for name in names if name.upper().startswith(PREFIX)):
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            remedy = f"did you mean {PREFIX}{near[0]}?" if near else "see .env.example for all of them"
            raise UserError(f"{PREFIX}{name}{where} is not a setting of KnightShift: {remedy}")
