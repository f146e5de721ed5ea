"""Keys and signatures against the real OpenSSH."""

import base64
import os
import stat
import subprocess
from pathlib import Path

import keys
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keys import PASSPHRASE, needs_openssh

from workflow import signing
from workflow.errors import BadFile

MESSAGE = '{"kind":"permit","原因":"合格"}'.encode()
SPACE = signing.namespace(drill=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keys.key_file(tmp_path_factory.mktemp("keys"), "officer")


@needs_openssh
def test_stock_ssh_keygen_accepts_our_signature(made: Path, tmp_path: Path) -> None:
    key = keys.opened(made)
    signature = signing.sign(key, MESSAGE, SPACE)

    def accepted(message: bytes = MESSAGE, space: str = SPACE) -> bool:
        return keys.accepted_by_ssh_keygen(tmp_path, key.key, message, signature, space)

    assert accepted()
    assert not accepted(MESSAGE + b" ")
    assert not accepted(space=signing.namespace(drill=True))


@needs_openssh
def test_stock_ssh_keygen_opens_our_key_and_shows_the_same_fingerprint(made: Path) -> None:
    public = subprocess.run(
        ["ssh-keygen", "-y", "-P", PASSPHRASE, "-f", str(made)], capture_output=True, check=True
    )
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{made}.pub"], capture_output=True, check=True, text=True
    )

    assert (
        public.stdout.decode().split()[:2] == signing.read_public(Path(f"{made}.pub")).line.split()
    )
    assert shown.stdout.split()[1] == keys.opened(made).key.fingerprint


@needs_openssh
@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_a_key_of_stock_ssh_keygen_signs(tmp_path: Path, passphrase: str) -> None:
    file = keys.stock_key(tmp_path / "id", passphrase)
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return passphrase

    key = signing.file_key(file, ask)

    assert key.key == signing.read_public(Path(f"{file}.pub"))
    assert asked == ([file.name] if passphrase else [])
    signature = signing.sign(key, MESSAGE, SPACE)
    assert keys.accepted_by_ssh_keygen(tmp_path, key.key, MESSAGE, signature, SPACE)


@needs_openssh
def test_our_signature_is_byte_for_byte_that_of_stock_ssh_keygen(tmp_path: Path) -> None:
    """Ed25519 is deterministic, so the two must agree on every byte."""
    file = keys.stock_key(tmp_path / "id")
    event = tmp_path / "event"
    event.write_bytes(MESSAGE)
    asked = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(file), "-n", SPACE, str(event)]
    subprocess.run(asked, check=True, capture_output=True)

    signature = signing.sign(signing.file_key(file, keys.never_asked), MESSAGE, SPACE)

    assert signing.armored(signature) == (tmp_path / "event.sig").read_text()


@needs_openssh
def test_the_real_agent_signs_as_the_file_does(tmp_path: Path) -> None:
    file = keys.stock_key(tmp_path / "id")
    held = signing.file_key(file, keys.never_asked)
    with keys.agent() as address:
        assert signing.agent_key(address, held.key) is None
        keys.add_to_agent(address, file)
        key = signing.agent_key(address, held.key)

        assert key is not None
        for message in (MESSAGE, b"", b"x" * 100_000):
            assert signing.sign(key, message, SPACE) == signing.sign(held, message, SPACE)


@needs_openssh
def test_an_agent_that_has_lost_the_key_or_gone_is_told(tmp_path: Path) -> None:
    file = keys.stock_key(tmp_path / "id")
    public = signing.read_public(Path(f"{file}.pub"))
    with keys.agent() as address:
        keys.add_to_agent(address, file)
        key = signing.agent_key(address, public)
        assert key is not None
        environment = {**os.environ, "SSH_AUTH_SOCK": address}
        subprocess.run(["ssh-add", "-q", "-D"], env=environment, check=True, capture_output=True)
        with pytest.raises(BadFile) as removed:
            signing.sign(key, MESSAGE, SPACE)
    with pytest.raises(BadFile) as gone:
        signing.sign(key, MESSAGE, SPACE)

    assert (removed.value.code, gone.value.code) == ("agent_refused", "agent_refused")
    assert signing.agent_key(address, public) is None
    assert signing.agent_key(str(file), public) is None


def test_a_private_key_is_for_its_owner_alone_and_encrypted(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert b"aes256-ctr" in base64.b64decode(b"".join(made.read_bytes().split(b"\n")[1:-2]))


def test_a_wrong_passphrase_is_told(made: Path) -> None:
    for wrong in ("", "x", PASSPHRASE + " "):
        with pytest.raises(BadFile) as refused:
            signing.file_key(made, lambda name, wrong=wrong: wrong)  # type: ignore[misc]
        assert refused.value.code == "wrong_passphrase"


def test_a_key_does_not_take_the_place_of_another(made: Path, tmp_path: Path) -> None:
    before = made.read_bytes()
    with pytest.raises(BadFile):
        signing.new_key(made, "x", "x")
    (tmp_path / "id.pub").write_text("mine")
    with pytest.raises(BadFile):
        signing.new_key(tmp_path / "id", "x", "x")

    assert made.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["id.pub"]


@needs_openssh
def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = keys.stock_key(tmp_path / "id", kind="ecdsa")

    with pytest.raises(BadFile):
        signing.file_key(file, keys.never_asked)
    with pytest.raises(BadFile):
        signing.read_public(Path(f"{file}.pub"))


def test_who_hands_in_the_private_key_is_warned(made: Path) -> None:
    with pytest.raises(BadFile) as refused:
        signing.read_public(made)

    assert "私钥" in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFf//w==",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIBBkYmFy1EmAmT5FnDw4r3DmgcCCrQLGJi7ZNkuZS3Xb",
        "私钥 是什么",
    ],
)
def test_what_is_no_public_key_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(BadFile) as refused:
        signing.public_key(text, "a.pub")

    assert refused.value.place == "a.pub"


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "id"
    with pytest.raises(BadFile):
        signing.file_key(file, keys.never_asked)
    file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(BadFile):
        signing.file_key(file, keys.never_asked)
    with pytest.raises(BadFile):
        signing.read_public(tmp_path / "none.pub")
    with pytest.raises(BadFile):
        signing.new_key(tmp_path / "nowhere" / "id", "x", "x")


@pytest.fixture(scope="module")
def some_key(tmp_path_factory: pytest.TempPathFactory) -> signing.FileKey:
    return signing.witness_key(tmp_path_factory.mktemp("raw") / "key")


@given(st.binary(max_size=300), st.integers(0, 63), st.integers(0, 7))
@settings(max_examples=50)
def test_a_bit_of_message_or_signature_makes_it_another(
    some_key: signing.FileKey, message: bytes, place: int, bit: int
) -> None:
    key = some_key
    raw = bytearray(key.sign(message))

    assert signing.verifies(bytes(raw), message, key.key)
    assert not signing.verifies(bytes(raw), message + b"\0", key.key)
    raw[place] ^= 1 << bit
    assert not signing.verifies(bytes(raw), message, key.key)
