"""What audit reads from its environment, each name behind `AUDIT_`."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from smart_audit.audit.domain import KIB, MIB
from smart_audit.core.settings import Duration, Insecure, ServiceSettings, is_https, is_near


class AuditSettings(ServiceSettings):
    """Read once at start, frozen."""

    model_config = SettingsConfigDict(env_prefix="AUDIT_", frozen=True, extra="ignore")

    port: int = Field(50052, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    auth_address: str = Field(
        "127.0.0.1:50051", description="host:port of auth; several IP addresses by commas"
    )
    log_origin: str = Field(
        "localhost/smart-audit",
        pattern=r"^[^\s+]+$",
        description="what the names of this installation's logs begin with; a URL without scheme",
    )
    checkpoint_key_overlap: Duration = Field(
        timedelta(days=30),
        description="how long a checkpoint key signs beside its successor",
    )
    checkpoint_every: Duration = Field(
        timedelta(seconds=10),
        gt=timedelta(0),
        description="how long a log grows before its state is signed, and cosigned",
    )
    # What is set to nothing is not set, and not the current folder.
    witness_policy_file: Annotated[Path | None, BeforeValidator(lambda text: text or None)] = Field(
        None, description="the witnesses to ask: a C2SP tlog-policy file; none asks nobody"
    )
    retention_every: Duration = Field(
        timedelta(hours=1),
        gt=timedelta(0),
        description="how often content that has expired is removed",
    )
    verify_every: Duration = Field(
        timedelta(days=1),
        ge=timedelta(0),
        description="how often the service verifies the database; 0 never",
    )
    verify_rate: int = Field(
        2000, ge=10, description="rows per second that it reads for that, at most"
    )
    batch_size: int = Field(1000, gt=0, description="events per commit at most")
    batch_bytes: int = Field(
        8 * MIB, gt=0, description="bytes per commit, unless one call has more"
    )
    queue_bytes: int = Field(
        128 * MIB, ge=32 * MIB, description="bytes waiting at most; more are refused"
    )
    tails_max: int = Field(2000, ge=1, description="streams that follow logs, in one process")
    tails_per_organisation_max: int = Field(
        1000, ge=1, description="streams that follow one organisation's log, in one process"
    )
    tail_heartbeat: Duration = Field(
        timedelta(seconds=15),
        gt=timedelta(0),
        le=timedelta(seconds=60),
        description="after how long without an event a stream gives a sign of life",
    )
    tail_patience: Duration = Field(
        timedelta(seconds=10),
        gt=timedelta(0),
        description="how long a stream's reader may take nothing before the stream ends",
    )
    export_jobs: int = Field(
        3, gt=0, description="exports of one organisation that wait or are written, at most"
    )
    export_bytes: int = Field(
        10 * KIB * MIB, gt=0, description="bytes that the files of one organisation take, at most"
    )
    export_kept_for: Duration = Field(
        timedelta(days=1), gt=timedelta(0), description="how long the file of an export is kept"
    )
    export_every: Duration = Field(
        timedelta(seconds=5),
        gt=timedelta(0),
        description="how often a process looks for exports that others have ordered or left",
    )
    export_lease: Duration = Field(
        timedelta(minutes=1),
        gt=timedelta(0),
        description="how long a process that writes an export may be silent",
    )
    export_streams: int = Field(
        4, gt=0, description="exports that one process streams to one organisation at once"
    )
    embeddings: Literal["wordllama", "service", "sentence-transformers"] = Field(
        "wordllama", description="by what kinds of event are embedded"
    )
    embeddings_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="of the service with /v1/embeddings, for `service`",
    )
    embeddings_model: str = Field("", description="the service's name of the model")
    embeddings_key: SecretStr = Field(SecretStr(""), description="the service's bearer token")
    embeddings_folder: Annotated[Path | None, BeforeValidator(lambda text: text or None)] = Field(
        None, description="the folder of the model, for `sentence-transformers`"
    )
    embeddings_dimensions: int = Field(
        384, gt=0, le=4000, description="numbers in a vector of the service's or folder's model"
    )
    embeddings_timeout: Duration = Field(
        timedelta(seconds=5), gt=timedelta(0), description="how long the service may take"
    )

    def insecure(self) -> Iterator[Insecure]:
        """See `ServiceSettings`."""
        yield from super().insecure()
        if "log_origin" not in self.model_fields_set:
            yield Insecure(
                "log.origin",
                "AUDIT_LOG_ORIGIN, such as audit.example.com; verifiers know the logs by it, for"
                " good",
            )
        if not self.verify_every:
            yield Insecure(
                "log.verified", "AUDIT_VERIFY_EVERY above 0; nobody else looks at the rows"
            )
        host = urlsplit(self.embeddings_url).hostname or ""
        if not is_https(self.embeddings_url) and not is_near(host):
            yield Insecure(
                "tls.embeddings",
                "AUDIT_EMBEDDINGS_URL to be an https:// URL; the service is on another machine",
            )
