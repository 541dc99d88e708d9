"""Python's pickle language, read as data: a stack machine that makes plain values and calls nothing.

Source:
    The opcodes of protocols 0–5 as Python documents them in ``pickletools`` and PEP 307, 3154 and 574. The text of each
    method is this project's own.
"""

import struct
from collections.abc import Callable, Sized
from typing import Any

from menura.errors import DamagedModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.names import call, checked_key, checked_name
from menura.neural.files.opaque import Opaque
from menura.neural.files.source import shown
from menura.neural.files.tensor import Storage, TensorSpec

__all__ = ["Machine"]

_LARGEST_PICKLE = 16 << 20
_MOST_STEPS = 500_000
_MOST_COPIES = 4_000_000
_LONGEST_LINE = 4096
_LONGEST_NUMBER = 256


class _Stop(Exception):  # noqa: N818 - a signal, no error
    pass


class Machine:
    """Reads one pickle.

    Args:
        data: Bytes that hold it.
        start: Where it begins.
        storage: Tells which storage a persistent id means.

    Attributes:
        position: Of the byte after what was read.
    """

    def __init__(self, data: memoryview, start: int, storage: Callable[[Any], Storage]) -> None:
        self.position = start
        self._data, self._end = data, min(len(data), start + _LARGEST_PICKLE)
        self._storage = storage
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._copied = 0

    def run(self) -> Any:
        """The value.

        Raises:
            DamagedModelError: It is cut short or makes no sense.
            UnsafeModelError: It names code, or is larger than any checkpoint's.
        """
        steps = 0
        table = _TABLE
        try:
            while True:
                steps += 1
                if steps > _MOST_STEPS:
                    raise UnsafeModelError(f"it takes more than {_MOST_STEPS} steps to read: no model does")
                code = self._take(1)[0]
                step = table.get(code)
                if step is None:
                    raise DamagedModelError(f"it holds an unknown instruction ({code:#04x}): fetch the file again")
                step(self)
        except _Stop:
            return self._pop()

    # Bytes

    def _take(self, count: int) -> memoryview:
        at = self.position
        if count > self._end - at:
            if self._end < len(self._data):
                raise UnsafeModelError(f"its description is larger than {_LARGEST_PICKLE >> 20} MiB: no model's is")
            raise DamagedModelError("it ends in the middle: the file is cut short; fetch it again")
        self.position = at + count
        return self._data[at : at + count]

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._take(struct.calcsize(form)))[0])

    def _line(self) -> str:
        window = bytes(self._data[self.position : min(self._end, self.position + _LONGEST_LINE)])
        length = window.find(b"\n")
        if length < 0:
            raise DamagedModelError("a line of its description does not end: the file is damaged; fetch it again")
        self.position += length + 1
        return window[:length].decode("latin-1")

    def _text(self, count: int) -> str:
        try:
            return str(self._take(count), "utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise DamagedModelError("a text in it is not readable: fetch the file again") from error

    # Stack

    def _pop(self) -> Any:
        if not self._stack:
            raise DamagedModelError("its instructions take more than they put: the file is damaged; fetch it again")
        return self._stack.pop()

    def _pop_mark(self) -> list[Any]:
        if not self._marks:
            raise DamagedModelError("its instructions take more than they put: the file is damaged; fetch it again")
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _pop_pairs(self) -> list[tuple[Any, Any]]:
        return _pairs(self._pop_mark())

    def _top(self) -> Any:
        if not self._stack:
            raise DamagedModelError("its instructions take more than they put: the file is damaged; fetch it again")
        return self._stack[-1]

    def _remember(self, key: int) -> None:
        self._memo[key] = self._top()

    def _recall(self, key: int) -> None:
        if key not in self._memo:
            raise DamagedModelError("it refers to a part that is not there: the file is damaged; fetch it again")
        self._stack.append(self._memo[key])

    # What instructions do

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _stop(self) -> None:
        raise _Stop

    def _discard(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _put(self, value: Any) -> None:
        self._stack.append(value)

    def _integer_line(self) -> int | bool:
        text = self._line()
        return {"00": False, "01": True}[text] if text in ("00", "01") else _decimal(text)

    def _long_line(self) -> int:
        return _decimal(self._line().removesuffix("L"))

    def _float_line(self) -> float:
        text = self._line()
        try:
            return float(text)
        except ValueError as error:
            raise DamagedModelError(f"{shown(text)} is no number: the file is damaged") from error

    def _long(self, count: int) -> int:
        if not 0 <= count <= _LONGEST_NUMBER:
            raise UnsafeModelError(f"a number in it takes {count} bytes: no model's does")
        return int.from_bytes(self._take(count), "little", signed=True)

    def _old_string(self, count: int) -> str | bytes:
        if count < 0:
            raise DamagedModelError("a text in it has a negative length: the file is damaged")
        raw = bytes(self._take(count))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw

    def _quoted_line(self) -> str:
        text = self._line()
        if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
            raise DamagedModelError("a text in it is not readable: fetch the file again")
        return _unescaped(text[1:-1], "unicode_escape")

    def _append(self, values: list[Any]) -> None:
        target = self._top()
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Opaque):
            target.items.extend(values)
        else:
            raise DamagedModelError("it appends to something that is no list: the file is damaged")

    def _set(self, pairs: list[tuple[Any, Any]]) -> None:
        target = self._top()
        entries = target.entries if isinstance(target, Opaque) else target
        if not isinstance(entries, dict):
            raise DamagedModelError("it puts entries into something that is no dictionary: the file is damaged")
        entries.update((checked_key(key), value) for key, value in pairs)

    def _add(self) -> None:
        values = self._pop_mark()
        target = self._top()
        if not isinstance(target, set):
            raise DamagedModelError("it adds to something that is no set: the file is damaged")
        target.update(checked_key(value) for value in values)

    def _name(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise UnsafeModelError("it names a function by something that is no text: built to mislead")
        self._put(checked_name(module, name))

    def _stack_name(self) -> None:
        name = self._pop()
        self._name(self._pop(), name)

    def _line_name(self) -> None:
        module = self._line()
        self._name(module, self._line())

    def _made(self, function: Any, args: Any) -> Any:
        """A call's value. A call may copy what it is given, and be given the same over and over: copies are counted."""
        if isinstance(args, tuple):
            self._copied += sum(len(item) for item in args if isinstance(item, Sized))
        if self._copied > _MOST_COPIES:
            raise UnsafeModelError("it copies its own content over and over: built to exhaust memory")
        return call(function, args)

    def _call(self) -> None:
        args = self._pop()
        self._put(self._made(self._pop(), args))

    def _call_keywords(self) -> None:
        keywords, args = self._pop(), self._pop()
        made = self._made(self._pop(), args)
        if isinstance(made, Opaque) and isinstance(keywords, dict):
            made.state = keywords
        elif keywords != {}:
            raise DamagedModelError("it calls something by keywords that takes none: the file is damaged")
        self._put(made)

    def _instance(self) -> None:
        module = self._line()
        self._name(module, self._line())
        named = self._pop()
        self._put(self._made(named, tuple(self._pop_mark())))

    def _object(self) -> None:
        items = self._pop_mark()
        if not items:
            raise DamagedModelError("it makes an object of nothing: the file is damaged")
        self._put(self._made(items[0], tuple(items[1:])))

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Opaque):
            target.state = state
        elif not isinstance(target, dict | TensorSpec):
            raise DamagedModelError("it sets attributes of something that has none: the file is damaged")

    def _persistent(self, identity: Any) -> None:
        self._put(self._storage(identity))

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._put(tuple(reversed(items)))

    def _protocol(self) -> None:
        version = self._number("<B")
        if version > 5:
            raise UnsupportedModelError(f"it is written in version {version} of Python's pickle; up to 5 is known")

    def _frame(self) -> None:
        length = self._number("<Q")
        if length > self._end - self.position:
            raise DamagedModelError("it ends in the middle: the file is cut short; fetch it again")

    def _extension(self) -> None:
        raise UnsafeModelError("it uses names registered outside the file (pickle extensions): no model does")

    def _buffer(self) -> None:
        raise UnsafeModelError("it refers to memory outside the file (pickle buffers): no model does")


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    if len(items) % 2:
        raise DamagedModelError("a dictionary has a key without a value: the file is damaged; fetch it again")
    return list(zip(items[::2], items[1::2], strict=True))


def _new_dict(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    return {checked_key(key): value for key, value in pairs}


def _decimal(text: str) -> int:
    try:
        if len(text) <= _LONGEST_NUMBER:
            return int(text)
    except ValueError:
        pass
    raise DamagedModelError(f"{shown(text, 20)} is no number: the file is damaged")


def _unescaped(text: str, codec: str) -> str:
    try:
        return text.encode("latin-1").decode(codec)
    except UnicodeError as error:
        raise DamagedModelError("a text in it is not readable: fetch the file again") from error


def _frozen(m: Machine) -> None:
    m._put({checked_key(value) for value in m._pop_mark()})


Step = Callable[[Machine], None]


def _constant(value: Any) -> Step:
    return lambda m: m._put(value)


_TABLE: dict[int, Step] = {
    ord("("): Machine._mark,
    ord("."): Machine._stop,
    ord("0"): Machine._discard,
    ord("1"): lambda m: m._pop_mark().clear(),
    ord("2"): lambda m: m._put(m._top()),
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("I"): lambda m: m._put(m._integer_line()),
    ord("L"): lambda m: m._put(m._long_line()),
    ord("F"): lambda m: m._put(m._float_line()),
    ord("J"): lambda m: m._put(m._number("<i")),
    ord("K"): lambda m: m._put(m._number("<B")),
    ord("M"): lambda m: m._put(m._number("<H")),
    0x8A: lambda m: m._put(m._long(m._number("<B"))),
    0x8B: lambda m: m._put(m._long(m._number("<i"))),
    ord("G"): lambda m: m._put(struct.unpack(">d", m._take(8))[0]),
    ord("S"): lambda m: m._put(m._quoted_line()),
    ord("T"): lambda m: m._put(m._old_string(m._number("<i"))),
    ord("U"): lambda m: m._put(m._old_string(m._number("<B"))),
    ord("V"): lambda m: m._put(_unescaped(m._line(), "raw_unicode_escape")),
    ord("X"): lambda m: m._put(m._text(m._number("<I"))),
    0x8C: lambda m: m._put(m._text(m._number("<B"))),
    0x8D: lambda m: m._put(m._text(m._number("<Q"))),
    ord("B"): lambda m: m._put(bytes(m._take(m._number("<I")))),
    ord("C"): lambda m: m._put(bytes(m._take(m._number("<B")))),
    0x8E: lambda m: m._put(bytes(m._take(m._number("<Q")))),
    0x96: lambda m: m._put(bytes(m._take(m._number("<Q")))),
    ord("]"): lambda m: m._put([]),
    ord("}"): lambda m: m._put({}),
    ord(")"): _constant(()),
    0x8F: lambda m: m._put(set()),
    0x91: _frozen,
    ord("l"): lambda m: m._put(m._pop_mark()),
    ord("d"): lambda m: m._put(_new_dict(m._pop_pairs())),
    ord("t"): lambda m: m._put(tuple(m._pop_mark())),
    0x85: lambda m: m._tuple(1),
    0x86: lambda m: m._tuple(2),
    0x87: lambda m: m._tuple(3),
    ord("a"): lambda m: m._append([m._pop()]),
    ord("e"): lambda m: m._append(m._pop_mark()),
    ord("s"): lambda m: m._set([(m._pop(), m._pop())[::-1]]),
    ord("u"): lambda m: m._set(m._pop_pairs()),
    0x90: Machine._add,
    ord("g"): lambda m: m._recall(_decimal(m._line())),
    ord("h"): lambda m: m._recall(m._number("<B")),
    ord("j"): lambda m: m._recall(m._number("<I")),
    ord("p"): lambda m: m._remember(_decimal(m._line())),
    ord("q"): lambda m: m._remember(m._number("<B")),
    ord("r"): lambda m: m._remember(m._number("<I")),
    0x94: lambda m: m._remember(len(m._memo)),
    ord("c"): Machine._line_name,
    0x93: Machine._stack_name,
    ord("R"): Machine._call,
    0x81: Machine._call,
    0x92: Machine._call_keywords,
    ord("i"): Machine._instance,
    ord("o"): Machine._object,
    ord("b"): Machine._build,
    ord("P"): lambda m: m._persistent(m._line()),
    ord("Q"): lambda m: m._persistent(m._pop()),
    0x80: Machine._protocol,
    0x95: Machine._frame,
    0x82: Machine._extension,
    0x83: Machine._extension,
    0x84: Machine._extension,
    0x97: Machine._buffer,
    0x98: Machine._buffer,
}
"""Every instruction of protocols 0 to 5."""
