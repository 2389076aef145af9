# SPDX-License-Identifier: Apache-2.0
"""Damaging a file where it hurts: its numbers, pieces, headers and packed contents, with checksums made right again."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.fuzz.layout import layout

Random = np.random.Generator

_LARGEST = 4 << 20
_WHOLE = (0, 1, -1, 2, 255, 256, 32767, 65535, 65536, 20_000, 120_000, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
_TEXTS = (
    *("0", "-1", "1", "65536", "100000", "2147483647", "2147483648", "9223372036854775807", "99999999999999999999"),
    *("nan", "inf", "-inf", "1e999", "1e308", "-1e38", "1e-320", "0x10", "", "1.5", "1/1/1", "x", "é", "1_0", "-0"),
)
_VALUES: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 2**31 - 1, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, 1e308, float("nan"), float("inf")),
    *("", "x", "é\ud800", "nan", "../../escape", "/dev/zero", "a" * 5000, "\0", None, True, False, [], {}, [[]]),
    *({"a": 1}, [2**31], [-1, -1], [1, 2, 3, 4, 5], "F64", "I64", "BF16", "U8", "1", "-1", "1e9", "[1]", "{}", "{"),
)
_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_JSON = (".json", ".jsonl")
_TEXT = (".obj", ".wrl", ".off", ".ppm", ".pgm", ".txt", ".ply", ".stl", ".npy", *_JSON)


def mutate(data: bytes, suffix: str, others: Sequence[bytes], rng: Random) -> bytes:
    """A damaged copy of a file.

    Args:
        data: The file.
        suffix: It says where its numbers and pieces are.
        others: Other files of the kind, to take pieces from.
        rng: Everything that is drawn comes from it.
    """
    ways: list[Callable[[bytes, str, Sequence[bytes], Random], bytes]] = [_anywhere, _pieces]
    ways += [_fields] * 3
    if suffix in _TEXT:
        ways += [_numbers] * 4
    if suffix in _INNER:
        ways += [_inner] * 4
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        data = ways[rng.integers(len(ways))](data, suffix, others, rng)[:_LARGEST]
    # Mostly made right again: else every damaged PNG would end at the same checksum.
    return _with_checksums(data) if suffix == ".png" and rng.random() < 0.9 else data


def _anywhere(data: bytes, suffix: str, others: Sequence[bytes], rng: Random) -> bytes:
    """Flip bits, cut, overwrite, insert, repeat or splice, wherever it falls."""
    if not data:
        return bytes(rng.integers(0, 256, 16, dtype=np.uint8))
    array = bytearray(data)
    # Headers are what parsers trust most.
    at = int(rng.integers(min(len(array), 256) if rng.random() < 0.5 else len(array)))
    length = int(rng.integers(1, 65))
    how = rng.integers(7)
    if how == 0:
        for place in rng.integers(0, len(array), int(rng.integers(1, 9))):
            array[place] ^= 1 << int(rng.integers(8))
    elif how == 1:
        del array[at:]
    elif how == 2:
        array[at : at + length] = bytes([int(rng.choice([0, 255, 127, 128]))]) * len(array[at : at + length])
    elif how == 3:
        array[at:at] = bytes(rng.integers(0, 256, length, dtype=np.uint8))
    elif how == 4:
        array[at:at] = array[at : at + int(rng.integers(1, 4096))] * int(rng.integers(1, 5))
    elif how == 5:
        del array[at : at + length]
    elif others:
        other = others[rng.integers(len(others))]
        array[at:] = other[int(rng.integers(len(other) + 1)) :]
    return bytes(array)


def _fields(data: bytes, suffix: str, others: Sequence[bytes], rng: Random) -> bytes:
    """Set a number of the header to an extreme, or near what it was."""
    fields = layout(data, suffix)[0]
    if not fields:
        return _anywhere(data, suffix, others, rng)
    array = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 2]))):
        start, size, order = fields[rng.integers(len(fields))]
        before = int.from_bytes(array[start : start + size], order)
        near = (before + 1, before - 1, before * 2, before // 2, before ^ (1 << int(rng.integers(8 * size))))
        value = near[rng.integers(len(near))] if rng.random() < 0.4 else _WHOLE[rng.integers(len(_WHOLE))]
        array[start : start + size] = (value % (1 << 8 * size)).to_bytes(size, order)
    return bytes(array)


def _pieces(data: bytes, suffix: str, others: Sequence[bytes], rng: Random) -> bytes:
    """Repeat, drop, exchange or empty pieces, or take one of another file."""
    pieces = layout(data, suffix)[1]
    if not pieces:
        return _anywhere(data, suffix, others, rng)
    (start, end), (start2, end2) = (pieces[i] for i in rng.integers(0, len(pieces), 2))
    how = rng.integers(5)
    if how == 0:
        return data[:end] + data[start:end] * int(rng.choice([1, 1, 3, 200])) + data[end:]
    if how == 1:
        return data[:start] + data[end:]
    if how == 2:
        return data[:start] + data[start2:end2] + data[end:]
    if how == 3:
        return data[:start] + bytes(end - start) + data[end:]
    other = others[rng.integers(len(others))] if others else data
    theirs = layout(other, suffix)[1]
    if not theirs:
        return data[:start] + data[end:]
    first, last = theirs[rng.integers(len(theirs))]
    return data[:start] + other[first:last] + data[start:]


def _numbers(data: bytes, suffix: str, others: Sequence[bytes], rng: Random) -> bytes:
    """Replace a number that is written as text, more often one of the first, which are counts and sizes."""
    found = list(_NUMBER.finditer(data[:200_000]))
    if not found:
        return _anywhere(data, suffix, others, rng)
    some = found[: 8 if rng.random() < 0.5 else None]
    start, end = some[rng.integers(len(some))].span()
    return data[:start] + _TEXTS[rng.integers(len(_TEXTS))].encode() + data[end:]


def _inner(data: bytes, suffix: str, others: Sequence[bytes], rng: Random) -> bytes:
    try:
        return _INNER[suffix](data, rng)
    except Exception:  # it was mutated before and can no longer be taken apart
        return _anywhere(data, suffix, others, rng)


def _in_json(data: bytes, rng: Random) -> bytes:
    if rng.random() < 0.05:
        depth = int(rng.choice([200, 5000, 100_000]))
        return b"[" * depth + b"]" * depth
    return json.dumps(changed(json.loads(data), rng)).encode()


def _in_lines(data: bytes, rng: Random) -> bytes:
    lines = data.splitlines()
    at = int(rng.integers(len(lines)))
    lines[at] = _in_json(lines[at], rng)
    return b"\n".join(lines) + b"\n"


def changed(tree: Any, rng: Random) -> Any:
    """A JSON value with one value, key or length in it changed, anywhere."""
    if isinstance(tree, dict) and tree and rng.random() < 0.9:
        key = list(tree)[rng.integers(len(tree))]
        how = rng.random()
        if how < 0.1:
            return {k: v for k, v in tree.items() if k != key}
        if how < 0.15:
            return {str(_VALUES[rng.integers(len(_VALUES))]) if k == key else k: v for k, v in tree.items()}
        return {**tree, key: changed(tree[key], rng)}
    if isinstance(tree, list) and tree and rng.random() < 0.8:
        at = int(rng.integers(len(tree)))
        if rng.random() < 0.2:
            return tree[:at] if rng.random() < 0.5 else [*tree, *tree[at:]]
        return [*tree[:at], changed(tree[at], rng), *tree[at + 1 :]]
    if isinstance(tree, str) and tree.startswith(("{", "[")) and rng.random() < 0.8:
        try:  # JSON within JSON, as headers of weights have it
            return json.dumps(changed(json.loads(tree), rng))
        except ValueError:
            return tree[: len(tree) // 2]
    return _VALUES[rng.integers(len(_VALUES))]


def _in_safetensors(data: bytes, rng: Random) -> bytes:
    length = int.from_bytes(data[:8], "little")
    tree, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    if rng.random() < 0.15:  # one number of a tensor not finite, or huge
        values = np.frombuffer(body[: len(body) // 4 * 4], np.float32).copy()
        values[rng.integers(len(values))] = rng.choice(np.float32([np.nan, np.inf, -np.inf, 3e38]))
        body = values.tobytes() + body[len(values) * 4 :]
    elif rng.random() < 0.5 and "__metadata__" in tree:
        tree["__metadata__"] = changed(tree["__metadata__"], rng)
    else:
        tree = changed(tree, rng)
    header = json.dumps(tree).encode()
    return len(header).to_bytes(8, "little") + header + body


def _in_glb(data: bytes, rng: Random) -> bytes:
    length = int.from_bytes(data[12:16], "little")
    text = json.dumps(changed(json.loads(data[20 : 20 + length]), rng)).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    total = 20 + len(text) + len(rest)
    return data[:8] + total.to_bytes(4, "little") + len(text).to_bytes(4, "little") + b"JSON" + text + rest


def _in_npy(data: bytes, rng: Random) -> bytes:
    """Change the dictionary of the header; its length is made right."""
    length = int.from_bytes(data[8:10], "little")
    text = data[10 : 10 + length].strip().decode("latin-1")
    shape = rng.choice(
        ["(0,)", "()", "(-1, 64, 3)", "(2147483647, 2147483647, 3)", "(100000, 100000, 3)", "(64, 64, 300000)"]
    )
    kind = rng.choice(["|O", "<f2", "<c16", "<U4", "|V8", ">i8", "<f8", "|b1", "<M8[s]", "|S0", "<f4', '<f4", "x"])
    if rng.random() < 0.6:
        text = re.sub(r"\([^)]*\)", str(shape), text)
    if rng.random() < 0.6:
        text = re.sub(r"'descr': '[^']*'", f"'descr': '{kind}'", text)
    if rng.random() < 0.1:
        text = "(" * 5000 + ")" * 5000
    header = text.encode("latin-1") + b"\n"
    return data[:8] + len(header).to_bytes(2, "little") + header + data[10 + length :]


def _in_zip(data: bytes, rng: Random) -> bytes:
    """Damage one member, or its name, and pack all again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[rng.integers(len(members))]
    how = rng.random()
    if how < 0.7:
        members[name] = mutate(members[name], ".npy", (), rng)
    elif how < 0.85:
        members = {
            (str(rng.choice(["", "x", "../a.npy", "normals"])) if k == name else k): v for k, v in members.items()
        }
    else:  # many more numbers declared than there are
        members[name] = re.sub(rb"\([^)]*\)", b"(9000, 9000, 3)", members[name][:128]) + bytes(1 << 20)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return out.getvalue()


def _in_png(data: bytes, rng: Random) -> bytes:
    """Damage what is packed inside: rows that are too short, too long or wrongly filtered."""
    chunks = [(data[p.start + 4 : p.start + 8], data[p.start + 8 : p.end - 4]) for p in layout(data, ".png")[1]]
    unpacking = zlib.decompressobj()
    raw = unpacking.decompress(b"".join(body for name, body in chunks if name == b"IDAT"), 4 * _LARGEST)
    if unpacking.unconsumed_tail:
        raise ValueError("too much to be packed again")
    packed = zlib.compress(_anywhere(raw, "", (), rng))
    out, written = data[:8], False
    for name, body in chunks:
        if name == b"IDAT" and written:
            continue
        content = packed if name == b"IDAT" else body
        written |= name == b"IDAT"
        out += len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")
    return out


def _in_onnx(data: bytes, rng: Random) -> bytes:
    """Change one field somewhere in the graph, or point a weight at a file."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    if rng.random() < 0.1:
        tensor = model.graph.initializer.add(name="outside", dims=[1], data_type=1, data_location=1)
        places = ["/etc/hostname", "../outside.bin", "/dev/zero", "no-such-file"]
        tensor.external_data.add(key="location", value=str(rng.choice(places)))
        return model.SerializeToString()
    message: Any = model
    while True:
        fields = message.ListFields()
        if not fields:
            break
        field, value = fields[rng.integers(len(fields))]
        many = not isinstance(value, (str, bytes, int, float)) and hasattr(value, "__len__")
        if field.message_type is not None and rng.random() < 0.95:
            message = value[rng.integers(len(value))] if many else value
            continue
        if many and len(value) and rng.random() < 0.3:
            del value[rng.integers(len(value)) :]
        elif field.message_type is not None:
            message.ClearField(field.name)
        else:
            _set(message, field, value if many else None, rng)
        break
    return model.SerializeToString()


def _set(message: Any, field: Any, repeated: Any, rng: Random) -> None:
    """Give a field of a protobuf message an extreme value of its own type."""
    kinds: dict[int, tuple[Any, ...]] = {
        field.CPPTYPE_STRING: (b"", b"x", b"Conv", b"Loop", b"a" * 300)
        if field.type == field.TYPE_BYTES
        else ("", "x", "Conv", "Loop", "Gather", "a" * 300),
        field.CPPTYPE_FLOAT: (0.0, -1.0, float("nan"), float("inf"), 3e38),
        field.CPPTYPE_DOUBLE: (0.0, -1.0, float("nan"), float("inf"), 1e308),
        field.CPPTYPE_INT32: (0, -1, 1, 7, 10, 2**31 - 1),
        field.CPPTYPE_ENUM: (0, 1, 2, 7),
    }
    values = kinds.get(field.cpp_type, (0, -1, 1, 64, 2**31 - 1, 2**40, 2**63 - 1))
    value = values[rng.integers(len(values))]
    if repeated is None:
        setattr(message, field.name, value)
    elif len(repeated):
        repeated[rng.integers(len(repeated))] = value


def _with_checksums(data: bytes) -> bytes:
    """A PNG with the checksum of every chunk made right."""
    array = bytearray(data)
    for start, end in layout(data, ".png")[1]:
        if end - start >= 12:
            array[end - 4 : end] = zlib.crc32(bytes(array[start + 4 : end - 4])).to_bytes(4, "big")
    return bytes(array)


_INNER: dict[str, Callable[[bytes, Random], bytes]] = {
    ".json": _in_json,
    ".jsonl": _in_lines,
    ".safetensors": _in_safetensors,
    ".glb": _in_glb,
    ".npy": _in_npy,
    ".npz": _in_zip,
    ".png": _in_png,
    ".onnx": _in_onnx,
}
