"""What `up` starts on one machine, and where each part listens."""

from pathlib import Path

from pydantic import BaseModel, Field


class MachineSettings(BaseModel):
    """What `up` starts on one machine, and where each part listens."""

    data_dir: Path = Field(Path(".tapereader"), description="Directory of Kafka's and Redis's data and of the logs.")
    kafka_port: int = Field(19092, ge=1, le=65535, description="Port of the Kafka that `up` starts.")
    kafka_disk_mib: int = Field(
        4096, ge=512, description="Disk (MiB) that events in the Kafka that `up` starts may take; the oldest go first."
    )
    redis_port: int = Field(16379, ge=1, le=65535, description="Port of the Redis that `up` starts.")
    http_host: str = Field("127.0.0.1", description="Address that the gateway listens on.")
    http_port: int = Field(8000, ge=1, le=65535, description="Port of the gateway: page, REST and WebSocket.")
    control_port: int = Field(4200, ge=1, le=65535, description="Port of the producer's HTTP control.")
    simulator_port: int = Field(18080, ge=1, le=65535, description="Port of the simulator: WebSocket and REST.")
    simulator_host: str = Field(
        "127.0.0.1", description="Address that the simulator listens on, and where the others look for it."
    )
    workers: int = Field(1, ge=1, le=64, description="Number of worker processes that `up` starts.")
    gateways: int = Field(1, ge=1, le=64, description="Number of gateway processes that `up` starts on the one port.")
    browser: bool = Field(True, description="Open the page in a browser when `up` is ready.")
