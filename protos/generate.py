"""Generate the Python stubs from the protos, or check that the committed ones are up to date.

    python protos/generate.py           write shared/stubs/src/smart_audit/api
    python protos/generate.py --check   exit 1 when the committed stubs differ
    python protos/generate.py --image F write the descriptor image that buf reads
    python protos/generate.py --image F --of REVISION
                                        write the image of the protos of a git revision

The imported protos (google.api, google.rpc, buf.validate) come from the installed wheels, so
nothing is fetched and nothing of others is kept here.
"""

import argparse
import filecmp
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import grpc_tools
import protovalidate
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pb2
from google.rpc import error_details_pb2
from grpc_tools import protoc

PROTOS = Path(__file__).parent
STUBS = PROTOS.parent / "shared" / "stubs" / "src"
PACKAGE = Path("smart_audit") / "api"
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"
GOOGLEAPIS = Path(error_details_pb2.__file__).parents[2]


def run_protoc(*arguments: str, protos: Path = PROTOS) -> None:
    """Run protoc over all our protos. Raises: SystemExit with what protoc printed."""
    sources = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    with tempfile.NamedTemporaryFile(suffix=".binpb") as rules:
        rules.write(_imported_descriptors())
        rules.flush()
        code = protoc.main(
            [
                "protoc",
                f"-I{protos}",
                f"-I{WELL_KNOWN}",
                f"-I{GOOGLEAPIS}",
                f"--descriptor_set_in={rules.name}",
                *arguments,
                *sources,
            ]
        )
    if code:
        raise SystemExit(code)


def _imported_descriptors() -> bytes:
    """Those imports whose sources no wheel has under their own names."""
    files = (
        protovalidate.ViolationPb.desc().file.proto.to_binary(),
        operations_pb2.Operation.DESCRIPTOR.file.serialized_pb,
    )
    return descriptor_pb2.FileDescriptorSet(
        file=[descriptor_pb2.FileDescriptorProto.FromString(file) for file in files]
    ).SerializeToString()


def generate(out: Path) -> None:
    """Write all stubs below `out`."""
    run_protoc(
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet:{out}",
    )


def write_image(image: Path, revision: str | None) -> None:
    """Write a descriptor image with comments, of the working tree or of a git revision."""
    with tempfile.TemporaryDirectory() as folder:
        protos = PROTOS
        if revision:
            archive = subprocess.run(  # noqa: S603
                ["git", "archive", revision, "protos"],  # noqa: S607
                check=True,
                capture_output=True,
                cwd=PROTOS.parent,
            )
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
                tar.extractall(folder, filter="data")
            protos = Path(folder) / "protos"
        run_protoc(
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={image}",
            protos=protos,
        )


def drift(fresh: Path) -> list[str]:
    """The generated files that differ from the committed ones, or stand on one side only."""
    names = {
        str(path.relative_to(root))
        for root in (fresh, STUBS)
        for path in (root / PACKAGE).rglob("*_pb2*.py*")
        if "__pycache__" not in path.parts
    }
    _, differing, missing = filecmp.cmpfiles(fresh, STUBS, names, shallow=False)
    return sorted(differing + missing)


def main() -> None:
    """Parse the arguments and act."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--image", type=Path, help="write a descriptor image with comments")
    parser.add_argument("--of", metavar="REVISION", help="of a git revision (with --image)")
    arguments = parser.parse_args()
    if arguments.image:
        write_image(arguments.image, arguments.of)
    elif arguments.check:
        with tempfile.TemporaryDirectory() as folder:
            generate(Path(folder))
            if differing := drift(Path(folder)):
                sys.exit("stubs are out of date, run `make proto`:\n  " + "\n  ".join(differing))
    else:
        generate(STUBS)


if __name__ == "__main__":
    main()
