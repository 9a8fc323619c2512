"""The handler that XLA calls, called by a stand-in for XLA: structures read off the header that jaxlib ships, threads that
come late or never, and an interface that refuses.
"""

import ctypes
import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from tests.test_fused_targets import LOGISTIC, logistic, logistic_data, loop_ir, same
from twinjax.solve.fused.targets import handler, llvm

CALL = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
HEADER = Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h"
CODES = {"int32": 4, "int64": 5, "float32": 11, "float64": 12}  # XLA_FFI_DataType, read off the header below


def header():
    """The header without comments, preprocessor and line breaks."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    return " ".join(re.sub(r"^\s*#.*$", "", text, flags=re.M).split())


def structures():
    """Every structure of the header as a ctypes.Structure, which lays it out as a C compiler does."""
    text = header()
    known = {"size_t": ctypes.c_size_t, "int64_t": ctypes.c_int64, "int32_t": ctypes.c_int32, "int": ctypes.c_int}
    known |= {"uint32_t": ctypes.c_uint32}
    known |= {name: ctypes.c_int for name in re.findall(r"typedef enum \{[^}]*\} (\w+);", text)}
    known |= {new: known[old] for old, new in re.findall(r"typedef (uint32_t) (\w+);", text)}
    for name, body in re.findall(r"struct (\w+) \{(.*?)\}", text):
        fields = []
        for field in re.sub(r"_XLA_FFI_API_STRUCT_FIELD\((\w+)\)", r"void* \1", body).split(";"):
            if found := re.fullmatch(r"(?:.*\(\*(\w+)\)\(.*|.*\*\s*(\w+))", field.strip()):
                fields.append((found[1] or found[2], ctypes.c_void_p))
            elif found := re.fullmatch(r"(?:const )?(\w+) (\w+)", field.strip()):
                fields.append((found[2], known[found[1]]))
            else:
                assert not field.strip(), field
        known[name] = type(name, (ctypes.Structure,), {"_fields_": fields})
    return SimpleNamespace(**{k.removeprefix("XLA_FFI_"): v for k, v in known.items()})


C = structures()


class StandIn:
    """XLA's side of a call: it has `threads`, keeps the tasks it is given and runs none unless asked."""

    def __init__(self, threads=4, accept=10**9, pool=True, version=None):
        self.threads, self.accept, self.pool = threads, accept, pool
        self.tasks, self.messages, self.dropped = [], [], []
        calls = {"Error_Create": self.create, "Error_Destroy": self.destroy}
        calls |= {"ThreadPool_Schedule": self.schedule, "ThreadPool_NumThreads": self.count}
        self.calls = {f"XLA_FFI_{name}": CALL(call) for name, call in calls.items()}
        self.api = C.Api(struct_size=ctypes.sizeof(C.Api))
        for name, call in self.calls.items():
            setattr(self.api, name, ctypes.cast(call, ctypes.c_void_p))
        said = dict(re.findall(r"#define XLA_FFI_API_(MAJOR|MINOR) (\d+)", HEADER.read_text()))
        major, minor = version or (int(said["MAJOR"]), int(said["MINOR"]))
        self.api.api_version.major_version, self.api.api_version.minor_version = major, minor

    def create(self, address):
        made = C.Error_Create_Args.from_address(address)
        assert made.struct_size == C.Error_Create_Args.errc.offset + 4
        assert made.errc == 3  # invalid argument
        self.messages.append(ctypes.string_at(made.message).decode())
        return 0xE0

    def destroy(self, address):
        self.dropped.append(C.Error_Destroy_Args.from_address(address).error)

    def schedule(self, address):
        order = C.ThreadPool_Schedule_Args.from_address(address)
        assert (order.struct_size, order.ctx) == (ctypes.sizeof(C.ThreadPool_Schedule_Args), 0xC0)
        if len(self.tasks) == self.accept:
            return 0xE1
        self.tasks.append((ctypes.CFUNCTYPE(None, ctypes.c_void_p)(order.task), order.data))

    def count(self, address):
        asked = C.ThreadPool_NumThreads_Args.from_address(address)
        assert (asked.struct_size, asked.ctx) == (ctypes.sizeof(C.ThreadPool_NumThreads_Args), 0xC0)
        if not self.pool:
            return 0xE2
        ctypes.c_int64.from_address(asked.num_threads).value = self.threads

    def run_tasks(self):
        while self.tasks:
            task, data = self.tasks.pop()
            task(data)

    def __call__(self, function, inputs, outputs, stage=3, extension=None):
        kept = []

        def pointers(arrays):
            buffers = []
            for a in arrays:
                shape = (ctypes.c_int64 * a.ndim)(*a.shape)
                buffer = C.Buffer(ctypes.sizeof(C.Buffer), None, CODES[str(a.dtype)], a.ctypes.data, a.ndim)
                buffer.dims = ctypes.addressof(shape)
                kept.extend([shape, buffer])
                buffers.append(ctypes.addressof(buffer))
            kept.append((ctypes.c_void_p * len(buffers))(*buffers))
            return ctypes.addressof(kept[-1])

        frame = C.CallFrame(
            struct_size=ctypes.sizeof(C.CallFrame), api=ctypes.addressof(self.api), ctx=0xC0, stage=stage
        )
        frame.extension_start = extension
        frame.args.size, frame.args.args = len(inputs), pointers(inputs)
        frame.rets.size, frame.rets.rets = len(outputs), pointers(outputs)
        return function(ctypes.addressof(frame))


@pytest.fixture(scope="module")
def kernel():
    return dataclasses.replace(LOGISTIC, block=16)


@pytest.fixture(scope="module")
def function(kernel):
    return CALL(llvm.load(llvm.object_code(loop_ir(8) + handler.handler_ir(kernel)), handler.HANDLER))


def problem(patients=1000):
    n, x = logistic_data(patients)
    return (
        [n[:, None], x[:, None]],
        [np.full((patients, 1), -1.0), np.full((patients, 1), -1, np.int32)],
        logistic(n, x),
    )


def test_the_types_have_these_codes():
    codes = dict(re.findall(r"XLA_FFI_DataType_([SF]\d+) = (\d+)", header()))
    assert {k: int(codes[v]) for k, v in zip(CODES, ("S32", "S64", "F32", "F64"), strict=True)} == CODES


def test_it_says_which_version_it_was_written_for(function):
    facts = C.Metadata(struct_size=ctypes.sizeof(C.Metadata))
    asked = C.Metadata_Extension(metadata=ctypes.addressof(facts))
    asked.extension_base.type = 1
    assert StandIn()(function, [], [], stage=0, extension=ctypes.addressof(asked)) is None
    assert (facts.api_version.major_version, facts.api_version.minor_version) == handler.API


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_tasks_that_start_late_find_nothing_left(function, threads):
    """No task starts before the caller has served everybody, and then each only gives the job back."""
    xla = StandIn(threads)
    inputs, outputs, expected = problem()
    assert xla(function, inputs, outputs) is None
    assert same(outputs, expected)
    assert len(xla.tasks) == threads - 1
    for array in outputs:
        array[:] = 7
    xla.run_tasks()
    assert all((array == 7).all() for array in outputs)


def test_jobs_are_given_back(function):
    """A job is held until its last task has come; when all are held, calls work alone, and give no task."""
    xla = StandIn(threads=2)
    inputs, outputs, expected = problem(100)
    for _ in range(40):
        outputs[0][:] = -1
        assert xla(function, inputs, outputs) is None
        assert same(outputs, expected)
    assert len(xla.tasks) == 32
    for _ in range(2):
        xla.run_tasks()
        for _ in range(32):
            xla(function, inputs, outputs)
        assert len(xla.tasks) == 32
    xla.run_tasks()


def test_threads_that_are_refused(function):
    """Without a pool, or with one that takes only some of the tasks, the caller serves the rest; the errors that XLA gave
    are given back to it."""
    inputs, outputs, expected = problem()
    none = StandIn(pool=False)
    assert none(function, inputs, outputs) is None
    assert same(outputs, expected)
    assert (none.dropped, none.tasks) == ([0xE2], [])
    for accept in (0, 2):
        some = StandIn(threads=8, accept=accept)
        for _ in range(40):  # more often than there are jobs
            outputs[0][:] = -1
            assert some(function, inputs, outputs) is None
            assert same(outputs, expected)
            assert len(some.tasks) == accept
            some.run_tasks()
        assert some.dropped == [0xE1] * 40


def test_it_refuses_in_words(function):
    inputs, outputs, _ = problem(10)
    for xla, given, message in [
        (StandIn(), {"stage": 0}, "can only be executed"),
        (StandIn(version=(0, 2)), {}, "needs version 0.3 or later"),
        (StandIn(version=(1, 5)), {}, "needs version 0.3 or later"),
    ]:
        assert xla(function, inputs, outputs, **given) == 0xE0
        assert len(xla.messages) == 1
        assert message in xla.messages[0]
        assert (outputs[0] == -1).all()


def test_nobody_to_serve(function):
    inputs, outputs, _ = problem(0)
    xla = StandIn()
    assert xla(function, inputs, outputs) is None
    assert (xla.tasks, xla.messages) == ([], [])
