"""Declares what `mmsg` calls of the C library, once, and writes it down in the form cffi loads.

`python -m actors.relay.network.declarations` writes `_libc.py`; `--check` says whether that is up
to date.
Reading C declarations in every session actor would take a parser and a megabyte each.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from cffi import FFI

TARGET = Path(__file__).with_name("_libc.py")
HEAD = "# Written by `make generate` from actors/relay/network/declarations.py.\n"
DECLARATIONS = """
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr {
        void *msg_name; unsigned int msg_namelen; struct iovec *msg_iov; size_t msg_iovlen;
        void *msg_control; size_t msg_controllen; int msg_flags;
    };
    struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    int recvmmsg(int, struct mmsghdr *, unsigned int, int, void *);
    int sendmmsg(int, struct mmsghdr *, unsigned int, int);
"""
"""Layouts as in <sys/socket.h> of 64-bit Linux."""


def written() -> str:
    """Return the module as it should be."""
    builder = FFI()
    builder.set_source("actors.relay.network._libc", None)
    builder.cdef(DECLARATIONS)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "_libc.py"
        with redirect_stdout(StringIO()):
            builder.emit_python_code(str(path))
        return HEAD + path.read_text()


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        if TARGET.read_text() == written():
            return 0
        print(f"{TARGET.name} is not what its declarations say: run `make generate`.")
        return 1
    TARGET.write_text(written())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
