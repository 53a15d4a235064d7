"""Checkpoints from elsewhere: a URL with a hash, or a file of a Hugging Face repository."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from clif.errors import InputError

SCHEMES = ("http", "https", "ftp")
HUB = "hf:"
HASH = "sha256="


def is_remote(text: str) -> bool:
    """Whether a checkpoint's name is a URL or a file of a Hugging Face repository."""
    return text.startswith(HUB) or urlsplit(text).scheme in SCHEMES


def fetch(text: str) -> Path:
    """The local copy of a remote checkpoint, downloaded once into the user's cache.

    `https://…/net.safetensors#sha256=HEX` names a file and its hash, and is refused without the hash, so that no other
    file is ever loaded. `hf:OWNER/REPOSITORY/FILE@REVISION` is a file of a Hugging Face repository,
    by default of its revision "main"; it needs `pip install "clif-snn[hub]"`. Raises `InputError` for a name of another
    form, and for a file that cannot be downloaded or has another hash.
    """
    return _from_hub(text) if text.startswith(HUB) else _from_url(text)


def _from_url(text: str) -> Path:
    import pooch

    parts = urlsplit(text)
    digest = parts.fragment.removeprefix(HASH).lower()
    if not parts.fragment.startswith(HASH) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise InputError(f"{text}: add the file's hash: {urlunsplit(parts._replace(fragment=''))}#{HASH}HEX")
    url, name = urlunsplit(parts._replace(fragment="")), Path(parts.path).name or "checkpoint"
    try:
        found = pooch.retrieve(url, f"sha256:{digest}", fname=f"{digest[:16]}-{name}", path=pooch.os_cache("clif"))
    except ValueError as error:
        raise InputError(f"{url}: {' '.join(str(error).split())}") from error
    except Exception as error:  # exceptions of requests for a failed host, path or connection
        raise InputError(f"{url} cannot be downloaded: {error}") from error
    return Path(found)


def _from_hub(text: str) -> Path:
    place, _, revision = text.removeprefix(HUB).partition("@")
    owner, _, rest = place.partition("/")
    repository, _, file = rest.partition("/")
    if not (owner and repository and file):
        raise InputError(f"{text}: write hf:OWNER/REPOSITORY/FILE, or hf:OWNER/REPOSITORY/FILE@REVISION")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise InputError(f'{text} needs huggingface_hub: pip install "clif-snn[hub]"') from None
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", file, revision=revision or None))
    except Exception as error:  # its own errors, and those of requests
        raise InputError(f"{text} cannot be downloaded: {' '.join(str(error).split())}") from error
