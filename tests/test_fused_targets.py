"""How a kernel is launched: on the CPU's threads by XLA's foreign function interface, and for CUDA as PTX."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from string import Template

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.solve.fused.targets import Buffer, Kernel, available, cpu, cuda, launch, llvm
from twinjax.solve.fused.targets.available import works
from twinjax.solve.fused.targets.cache import digest, kept

LOOP = Template("""
define void @solve(ptr %in, ptr %out, i64 %begin, i64 %end) #0 {
start:
  %x.pp = getelementptr ptr, ptr %in, i64 1
  %count.pp = getelementptr ptr, ptr %out, i64 1
  %n.p = load ptr, ptr %in
  %x.p = load ptr, ptr %x.pp
  %y.p = load ptr, ptr %out
  %count.p = load ptr, ptr %count.pp
  %last = sub i64 %end, 1
  br label %outer
outer:
  %i = phi i64 [ %begin, %start ], [ %i.next, %stored ]
  %some = icmp slt i64 %i, %end
  br i1 %some, label %load, label %stop
load:
$loads
  br label %loop
loop:
  %step = phi <$W x i32> [ zeroinitializer, %load ], [ %step.next, %loop ]
  %y = phi <$W x double> [ %x$L, %load ], [ %y.next, %loop ]
  %on = icmp slt <$W x i32> %step, %n$L
  %rest = fsub <$W x double> splat (double 1.0), %y
  %grown = fmul <$W x double> %y, splat (double 3.5)
  %new = fmul <$W x double> %grown, %rest
  %y.next = select <$W x i1> %on, <$W x double> %new, <$W x double> %y
  %one = zext <$W x i1> %on to <$W x i32>
  %step.next = add <$W x i32> %step, %one
  %any = call i1 @llvm.vector.reduce.or.v${W}i1(<$W x i1> %on)
  br i1 %any, label %loop, label %store
store:
$stores
stored:
  %i.next = add i64 %i, $W
  br label %outer
stop:
  ret void
}
declare i1 @llvm.vector.reduce.or.v${W}i1(<$W x i1>)
attributes #0 = { nounwind "prefer-vector-width"="512" "no-stack-arg-probe" }
""")
"""The logistic map, n[i] times from x[i]: a loop that ends for each lane at its own time. The last lanes of a block that is
no multiple of the width repeat its last patient, and are not stored."""


def loop_ir(lanes, emitted=None):
    if emitted is not None:
        emitted.append(lanes)
    loads, stores = [], []
    for k in range(lanes):
        n, x = ("poison", "poison") if k == 0 else (f"%n{k - 1}", f"%x{k - 1}")
        loads.append(f"""  %i{k} = add i64 %i, {k}
  %in{k} = icmp slt i64 %i{k}, %end
  %j{k} = select i1 %in{k}, i64 %i{k}, i64 %last
  %n.at{k} = getelementptr i32, ptr %n.p, i64 %j{k}
  %n.of{k} = load i32, ptr %n.at{k}
  %n{k} = insertelement <{lanes} x i32> {n}, i32 %n.of{k}, i32 {k}
  %x.at{k} = getelementptr double, ptr %x.p, i64 %j{k}
  %x.of{k} = load double, ptr %x.at{k}
  %x{k} = insertelement <{lanes} x double> {x}, double %x.of{k}, i32 {k}""")
        after = f"skip{k}" if k < lanes - 1 else "stored"
        stores.append(f"""  br i1 %in{k}, label %put{k}, label %{after}
put{k}:
  %y.of{k} = extractelement <{lanes} x double> %y.next, i32 {k}
  %y.at{k} = getelementptr double, ptr %y.p, i64 %i{k}
  store double %y.of{k}, ptr %y.at{k}
  %count.of{k} = extractelement <{lanes} x i32> %step.next, i32 {k}
  %count.at{k} = getelementptr i32, ptr %count.p, i64 %i{k}
  store i32 %count.of{k}, ptr %count.at{k}
  br label %{after}
{"" if after == "stored" else after + ":"}""")
    return LOOP.substitute(W=lanes, L=lanes - 1, loads="\n".join(loads), stores="\n".join(stores))


LOGISTIC = Kernel("test.logistic", (Buffer(1, "i32"), Buffer(1)), (Buffer(1), Buffer(1, "i32")), loop_ir, lanes=8)

AXPY_IR = """
define void @solve(ptr %in, ptr %out, i64 %begin, i64 %end) #0 {
start:
  %x.pp = getelementptr ptr, ptr %in, i64 1
  %y.pp = getelementptr ptr, ptr %in, i64 2
  %a.p = load ptr, ptr %in
  %x.p = load ptr, ptr %x.pp
  %y.p = load ptr, ptr %y.pp
  %z.p = load ptr, ptr %out
  br label %outer
outer:
  %i = phi i64 [ %begin, %start ], [ %i.next, %row ]
  %some = icmp slt i64 %i, %end
  br i1 %some, label %patient, label %stop
patient:
  %a.at = getelementptr double, ptr %a.p, i64 %i
  %a = load double, ptr %a.at
  %first = mul i64 %i, 3
  br label %column
column:
  %j = phi i64 [ 0, %patient ], [ %j.next, %column ]
  %k = add i64 %first, %j
  %x.at = getelementptr double, ptr %x.p, i64 %k
  %y.at = getelementptr double, ptr %y.p, i64 %k
  %z.at = getelementptr double, ptr %z.p, i64 %k
  %x = load double, ptr %x.at
  %y = load double, ptr %y.at
  %ax = fmul double %a, %x
  %z = fadd double %ax, %y
  store double %z, ptr %z.at
  %j.next = add i64 %j, 1
  %more = icmp slt i64 %j.next, 3
  br i1 %more, label %column, label %row
row:
  %i.next = add i64 %i, 1
  br label %outer
stop:
  ret void
}
attributes #0 = { nounwind "no-stack-arg-probe" }
"""
AXPY = Kernel("test.axpy", (Buffer(1), Buffer(3), Buffer(3)), (Buffer(3),), lambda lanes: AXPY_IR, lanes=4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads what an earlier run left on disk."""
    monkeypatch.setenv("TWINJAX_CACHE", str(tmp_path))


def axpy_data(patients, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=patients), rng.normal(size=(patients, 3)), rng.normal(size=(patients, 3))


def logistic_data(patients, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 200, patients).astype(np.int32), rng.uniform(0.1, 0.9, patients)


def logistic(n, x):
    """The same arithmetic by numpy: every product and difference rounds the same way, so the bytes are the same."""
    y = x.copy()
    for step in range(n.max(initial=0)):
        y = np.where(step < n, (y * 3.5) * (1.0 - y), y)
    return y[:, None], n[:, None]


def same(found, expected):
    return all(np.array_equal(f, e, equal_nan=True) for f, e in zip(found, expected, strict=True))


def test_eagerly_and_in_jit():
    a, x, y = axpy_data(1000)
    expected = a[:, None] * x + y  # a product and a sum, each rounded: no fused multiply-add in the text
    (eager,) = launch(AXPY, a, x, y)
    (jitted,) = jax.jit(partial(launch, AXPY))(a[:, None], x, y)
    assert isinstance(eager, jax.Array)
    assert eager.shape == (1000, 3)
    assert same([eager, jitted], [expected, expected])


def test_a_row_may_have_further_axes():
    a, x, y = axpy_data(5)
    (z,) = launch(AXPY, a.reshape(5, 1, 1), x.reshape(5, 1, 3), y)
    assert same([z], [a[:, None] * x + y])


@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_a_loop_of_its_own_length_in_every_lane(lanes):
    n, x = logistic_data(999)
    found = launch(dataclasses.replace(LOGISTIC, lanes=lanes), n, x)
    assert found[1].dtype == jnp.int32
    assert same(found, logistic(n, x))


def test_vmap_is_further_patients():
    a, x, y = axpy_data(6)
    batches = jnp.asarray(x).reshape(2, 3, 3)
    (z,) = jax.jit(jax.vmap(partial(launch, AXPY), in_axes=(0, 0, None)))(a.reshape(2, 3), batches, y[:3])
    assert same([z], [a.reshape(2, 3, 1) * batches + y[:3]])
    deep = jax.vmap(jax.vmap(partial(launch, AXPY), in_axes=(None, 0, None)), in_axes=(0, 2, 1))
    xs, ys = np.random.default_rng(1).normal(size=(4, 3, 2, 3)), np.random.default_rng(2).normal(size=(3, 2, 3))
    (z,) = deep(a.reshape(2, 3), xs, ys)
    expected = a.reshape(2, 1, 3, 1) * np.moveaxis(xs, 2, 0) + np.moveaxis(ys, 1, 0)[:, None]
    assert same([z], [expected])


def test_in_scan_while_and_cond():
    n, x = logistic_data(33)
    n = np.full_like(n, 3)

    def again(y, _):
        return launch(LOGISTIC, n, y)[0][:, 0], None

    def turn(count_and_y):
        return count_and_y[0] + 1, again(count_and_y[1], None)[0]

    scanned = jax.jit(lambda y: jax.lax.scan(again, y, None, length=4)[0])(x)
    looped = jax.jit(lambda y: jax.lax.while_loop(lambda c: c[0] < 4, turn, (0, y)))(x)
    taken = jax.jit(lambda p, y: jax.lax.cond(p, lambda y: launch(LOGISTIC, 4 * n, y)[0][:, 0], lambda y: y, y))
    expected = logistic(4 * n, x)[0][:, 0]
    assert same([scanned, looped[1], taken(True, x), taken(False, x)], [expected, expected, expected, x])


def test_in_shard_map():
    n, x = logistic_data(64)
    mesh = jax.make_mesh((1,), ("patients",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("patients")
    spread = jax.shard_map(partial(launch, LOGISTIC), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    assert same(jax.jit(spread)(n, x), logistic(n, x))


def test_no_derivative_of_its_own():
    a, x, y = axpy_data(2)
    with pytest.raises(NotImplementedError, match="twinjax_launch"):
        jax.grad(lambda a: launch(AXPY, a, x, y)[0].sum())(jnp.asarray(a))


def test_one_compilation_for_equal_kernels():
    emitted = []
    n, x = logistic_data(7)
    for _ in range(3):
        kernel = Kernel("test.once", LOGISTIC.inputs, LOGISTIC.outputs, lambda k: loop_ir(k, emitted))
        launch(kernel, n, x)
        jax.jit(partial(launch, kernel))(n, x)
    launch(dataclasses.replace(kernel, threads=128), n, x)  # another GPU block is the same code on a CPU
    assert emitted == [8]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n, x: (n, x.astype(np.float32)), r"input 1 must be float64 .* not float32 .*jax_enable_x64"),
        (lambda n, x: (n.astype(np.int64), x), r"input 0 must be int32"),
        (lambda n, x: (n, x[:4]), r"input 1 must be float64 of shape \(5, 1\), .* not float64 of shape \(4,\)"),
        (lambda n, x: (n, np.stack([x, x], 1)), r"input 1 .* not float64 of shape \(5, 2\)"),
        (lambda n, x: (np.int32(3), x), "input 0"),
        (lambda n, x: (n,), "takes 2 arrays, not 1"),
    ],
)
def test_another_dtype_or_shape_is_refused(change, message):
    n, x = logistic_data(5)
    with pytest.raises(ValueError, match=message):
        launch(LOGISTIC, *change(n, x))


def shape(dtype, *shape):
    return jax.ShapeDtypeStruct(shape, dtype)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ((shape("i4", 3, 1), shape("f4", 3, 1)), None, r"input 1 must be float64 of shape \(patients, 1\)"),
        ((shape("i4", 3, 1), shape("f8", 2, 1)), None, r"input 1 must be"),
        ((shape("i4", 3, 1), shape("f8", 3)), None, r"input 1 must be"),
        ((shape("i4", 3, 2), shape("f8", 3, 1)), None, r"input 0 must be int32 of shape \(any number of patients, 1\)"),
        ((shape("i4", 3, 1), shape("f8", 3, 1)), (shape("f8", 3, 1), shape("i4", 4, 1)), r"output 1 must be int32"),
        ((shape("i4", 3, 1),), None, "takes 2 inputs and gives 2 outputs"),
        ((shape("i4", 3, 1), shape("f8", 3, 1)), (shape("f8", 3, 1),), "takes 2 inputs and gives 2 outputs"),
    ],
)
def test_the_handler_itself_refuses_in_words(inputs, outputs, message):
    """XLA calls whatever a program names: the handler reads the call frame and never past a buffer's end."""
    call = jax.ffi.ffi_call(cpu.target(LOGISTIC), outputs or (shape("f8", 3, 1), shape("i4", 3, 1)))
    with pytest.raises(jax.errors.JaxRuntimeError, match=f"INVALID_ARGUMENT.*twinjax: {message}|twinjax: .*{message}"):
        jax.block_until_ready(jax.jit(call)(*(np.zeros(i.shape, i.dtype) for i in inputs)))


def test_nan_stays_with_its_patient():
    n, x = logistic_data(100)
    n[:] = 5
    x[17] = np.nan
    found = launch(LOGISTIC, n, x)
    assert np.isnan(found[0][17, 0])
    assert same(found, logistic(n, x))


def test_no_patient():
    n, x = logistic_data(0)
    y, count = jax.jit(partial(launch, LOGISTIC))(n, x)
    assert (y.shape, y.dtype, count.shape, count.dtype) == ((0, 1), jnp.float64, (0, 1), jnp.int32)
    y, _ = jax.vmap(partial(launch, LOGISTIC))(n.reshape(3, 0), x.reshape(3, 0))
    assert y.shape == (3, 0, 1)


def test_a_buffer_of_nothing():
    """A patient without doses, say: the buffer has rows but no elements."""
    a, x, y = axpy_data(20)
    kernel = dataclasses.replace(AXPY, key="test.empty", inputs=(*AXPY.inputs, Buffer(0)))
    (z,) = jax.jit(partial(launch, kernel))(a, x, y, np.zeros((20, 0)))
    assert same([z], [a[:, None] * x + y])


def test_a_patient_does_not_know_the_others():
    n, x = logistic_data(20_000)
    whole = launch(LOGISTIC, n, x)
    assert same(whole, logistic(n, x))
    for patients in (1, 13, 8189):
        assert same(launch(LOGISTIC, n[:patients], x[:patients]), [w[:patients] for w in whole])


def test_blocks_and_threads_give_the_same_bytes():
    """A tenth of the numbers are subnormal: threads that did not agree about flushing them would show."""
    n, x = logistic_data(5000)
    x[::10] = 1e-310
    alone = launch(dataclasses.replace(LOGISTIC, block=0), n, x)
    for block in (1, 8, 100, 512):
        assert same(launch(dataclasses.replace(LOGISTIC, block=block), n, x), alone)


def test_calls_from_many_threads_at_once():
    """More callers than there are jobs to share: the last ones work alone."""
    n, x = logistic_data(3000)
    expected = logistic(n, x)
    call = jax.jit(partial(launch, dataclasses.replace(LOGISTIC, block=16)))
    call(n, x)
    right = []

    def several():
        right.append(all(same(call(n, x), expected) for _ in range(10)))

    callers = [threading.Thread(target=several) for _ in range(40)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert right == [True] * 40


SCRIPT = """
import json, sys
import jax
jax.config.update("jax_enable_x64", True)
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name) if name.endswith("/cache_hits") else None)
from tests.test_fused_targets import LOGISTIC, launch, logistic, logistic_data, loop_ir, same, dataclasses, partial
emitted = []
kernel = dataclasses.replace(LOGISTIC, key="test.disk", emit=lambda lanes: loop_ir(lanes, emitted))
n, x = logistic_data(50)
found = jax.jit(partial(launch, kernel))(n, x)
print(json.dumps({"right": same(found, logistic(n, x)), "emitted": emitted, "hits": len(hits)}))
"""


def test_what_is_kept_on_disk(tmp_path):
    """A second process emits nothing, takes JAX's program from JAX's own cache, and finds the kernel by its name; a file
    that was damaged is made again; a folder that cannot be written to is done without.
    """

    def process(folder):
        own = {"TWINJAX_CACHE": str(folder), "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax")}
        own |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
        root = Path(__file__).resolve().parents[1]
        command = [sys.executable, "-c", SCRIPT]
        run = subprocess.run(command, env=os.environ | own, cwd=root, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout.splitlines()[-1])

    folder = tmp_path / "own"
    assert process(folder) == {"right": True, "emitted": [8], "hits": 0}
    assert process(folder) == {"right": True, "emitted": [], "hits": 1}
    (kernel,) = (folder / "kernels").iterdir()
    data = bytearray(kernel.read_bytes())
    data[len(data) // 2] ^= 1
    kernel.write_bytes(data)
    assert process(folder) == {"right": True, "emitted": [8], "hits": 1}
    assert process(folder) == {"right": True, "emitted": [], "hits": 1}
    (tmp_path / "file").write_text("no folder can be made below a file")
    assert process(tmp_path / "file" / "below") == {"right": True, "emitted": [8], "hits": 1}


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:10], lambda b: b"", lambda b: b + b"x"])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    path = tmp_path / "kernels" / "name"
    assert kept("name", lambda: b"content") == b"content"
    assert kept("name", lambda: pytest.fail("was kept")) == b"content"
    path.write_bytes(damage(path.read_bytes()))
    assert kept("name", lambda: b"content") == b"content"
    assert kept("name", lambda: pytest.fail("was kept")) == b"content"
    assert list(path.parent.iterdir()) == [path]


def test_no_cache_at_all(monkeypatch, tmp_path):
    monkeypatch.setenv("TWINJAX_CACHE", "off")
    assert [kept("name", lambda i=i: bytes([i])) for i in range(2)] == [b"\x00", b"\x01"]
    assert not list(tmp_path.iterdir())


def test_names_tell_their_parts_apart():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a", 1) == digest("a", 1)


def exported(kernel, patients):
    n, x = logistic_data(patients)
    check = jax.export.DisabledSafetyCheck.custom_call(cuda.TARGET)
    call = jax.jit(partial(launch, kernel))
    return jax.export.export(call, platforms=["cuda"], disabled_checks=[check])(n, x)


def test_export_for_cuda_holds_the_ptx():
    program = exported(LOGISTIC, 1000)
    text = program.mlir_module()
    assert "@__gpu$xla.gpu.ptx" in text
    assert ".visible .entry twinjax_entry" in text
    assert "twinjax_patients = 1000;" in text
    for attribute in ("grid_x = 16 : i32", "block_x = 64 : i32", "output_indices = [2, 3]", 'kernel_type = "ptx"'):
        assert re.sub(r" : i64", "", attribute) in re.sub(r" : i64", "", text)
    assert [a.shape for a in program.out_avals] == [(1000, 1), (1000, 1)]


def test_export_without_saying_so_is_refused():
    n, x = logistic_data(3)
    with pytest.raises(ValueError, match=r"__gpu\$xla.gpu.ptx"):
        jax.export.export(jax.jit(partial(launch, LOGISTIC)), platforms=["cuda"])(n, x)


def test_ptx_is_one_text_for_every_number_of_patients():
    emitted = []
    kernel = Kernel("test.ptx", LOGISTIC.inputs, LOGISTIC.outputs, lambda k: loop_ir(k, emitted), threads=32)
    small, large = cuda.ptx(kernel, 3), cuda.ptx(kernel, 10**10)
    assert emitted == [1]
    assert small.replace(" = 3;", " = 10000000000;") == large
    assert ".maxntid 32" in small
    # solve is inlined, and the arrays of pointers are gone: memory is read and written as global memory
    assert ".local" not in small
    assert "call" not in small
    assert re.search(r"ld\.global\.nc\.b64", small)
    assert re.search(r"st\.global\.b64", small)
    assert not re.search(r"\b(ld|st)\.b(32|64)\b", small)


def test_architectures(monkeypatch):
    monkeypatch.setattr(cuda, "devices", lambda: ())
    assert ".target sm_75" in cuda.ptx(LOGISTIC, 1)
    assert ".target sm_90" in cuda.ptx(LOGISTIC, 1, "sm_90")
    assert ".target sm_90" in cuda.ptx(LOGISTIC, 1, "120")  # later devices run it
    assert ".target sm_80" in cuda.ptx(LOGISTIC, 1, "sm_83")
    monkeypatch.setenv("TWINJAX_CUDA_ARCH", "sm_86")
    assert ".target sm_86" in cuda.ptx(LOGISTIC, 1)
    with pytest.raises(ValueError, match="sm_60 is too old"):
        cuda.ptx(LOGISTIC, 1, "sm_60")
    with pytest.raises(ValueError, match="such as sm_90"):
        cuda.ptx(LOGISTIC, 1, "hopper")


def test_calls_to_outside_are_refused_before_llvm_ends_the_process():
    def calling(name):
        body = f"define void @solve(ptr %in, ptr %out, i64 %b, i64 %e) {{\n  %x = call double @{name}(double 1.0)\n"
        body += (
            f"  %p = load ptr, ptr %out\n  store double %x, ptr %p\n  ret void\n}}\ndeclare double @{name}(double)\n"
        )
        return Kernel(f"test.{name}", (Buffer(1),), (Buffer(1),), lambda lanes: body)

    with pytest.raises(ValueError, match="calls nowhere, which is outside"):
        llvm.object_code(calling("nowhere").emit(1))
    with pytest.raises(ValueError, match=r"llvm\.exp\.f64, for which this device"):
        cuda.ptx(calling("llvm.exp.f64"), 1)


def test_available():
    ask = available.__wrapped__
    assert ask("cpu") is None
    assert ask("cuda") is None  # programs lower and export without a device
    assert "not on tpu" in ask("tpu")
    assert works(jax.devices("cpu")[0]) is None
    assert jax.jit(lambda x: x + (works(jax.devices("cpu")[0]) is None))(1.0) == 2.0


def test_available_says_what_is_missing(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("llvmlite.__version__", "0.44.0")
        assert "llvmlite 0.44.0 is too old" in available.__wrapped__("cpu")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "llvmlite", None)
        assert "pip install 'llvmlite>=0.45'" in available.__wrapped__("cuda")
        with pytest.raises(ValueError, match="llvmlite cannot be imported"):
            cpu.target(LOGISTIC)

    def refuse(*args, **kwargs):
        raise RuntimeError("version 0.3")

    with monkeypatch.context() as patch:
        patch.setattr(cpu, "_REGISTERED", set())
        patch.setattr(jax.ffi, "register_ffi_target", refuse)
        assert "could not be compiled for cpu: version 0.3" in available.__wrapped__("cpu")


def test_llvm_is_loaded_by_the_first_kernel_only():
    code = "import sys, twinjax, twinjax.solve.fused.targets; assert 'llvmlite' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Buffer(1, "float64"), "one of f64, f32, i64, i32"),
        (lambda: Buffer(-1), "-1 elements"),
        (lambda: dataclasses.replace(LOGISTIC, inputs=()), "at least one input"),
        (lambda: dataclasses.replace(LOGISTIC, lanes=0), "0 lanes"),
        (lambda: dataclasses.replace(LOGISTIC, threads=2048), "2048 GPU threads"),
    ],
)
def test_a_kernel_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()
