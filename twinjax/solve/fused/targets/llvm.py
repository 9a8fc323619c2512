"""LLVM's compiler, by llvmlite: the text of a module to machine code for this processor, or to PTX for a CUDA device.

llvmlite is imported when a kernel is compiled and not before, as it takes 35 ms.
"""

from __future__ import annotations

import functools
import re
import threading
from typing import Any

LEAST = (0, 45)
"""The oldest llvmlite that reads this text (opaque pointers, LLVM 20)."""

_LOCK = threading.RLock()  # LLVM's context is one for the process
_ENGINES: list[Any] = []  # machine code lives as long as the process: XLA keeps pointers to it

_LIBRARY = re.compile(r"llvm\.(a?(sin|cos|tan)h?|atan2|sincos|exp(2|10)?|log(2|10)?|powi?|ldexp)\..*")
"""LLVM's intrinsics that call a mathematical library, which a GPU does not have."""


def missing() -> str | None:
    """Why LLVM cannot be used here, in words; None if it can."""
    try:
        import llvmlite
    except ImportError as error:
        return f"llvmlite cannot be imported ({error}): pip install 'llvmlite>={LEAST[0]}.{LEAST[1]}'"
    has = tuple(int(part) for part in llvmlite.__version__.split(".")[:2])
    if has < LEAST:
        return f"llvmlite {llvmlite.__version__} is too old: pip install 'llvmlite>={LEAST[0]}.{LEAST[1]}'"
    return None


@functools.cache
def host() -> tuple[str, str, str]:
    """This process's target: its triple, the name of the processor, and the processor's features."""
    llvm = _binding()
    try:
        features = llvm.get_host_cpu_features().flatten()
    except RuntimeError:  # a processor that LLVM cannot question
        features = ""
    return llvm.get_process_triple(), llvm.get_host_cpu_name(), features


def vector_bits() -> int:
    """How wide this processor's vectors are."""
    features = host()[2].split(",")
    return 512 if "+avx512f" in features else 256 if "+avx" in features else 128


def has_fma() -> bool:
    """Whether this processor multiplies and adds in one instruction; LLVM would call the C library without it."""
    triple, _, features = host()
    return "+fma" in features.split(",") or not triple.startswith(("x86_64", "i686"))


@functools.cache
def compiler() -> str:
    """The versions of llvmlite and LLVM, for the names of what is kept on disk."""
    import llvmlite

    return f"llvmlite {llvmlite.__version__} LLVM {'.'.join(map(str, _binding().llvm_version_info))}"


def object_code(text: str) -> bytes:
    """Machine code of a module for this processor, as the bytes of an object file."""
    with _LOCK:
        machine = _host_machine()
        return machine.emit_object(_optimised(text, machine, host()[0], solve="noinline"))


def ptx(text: str, architecture: str, version: int) -> str:
    """PTX of a module whose kernels have LLVM's calling convention ``ptx_kernel``; ``@solve`` is inlined into them."""
    with _LOCK:
        triple = "nvptx64-nvidia-cuda"
        target = _binding(every=True).Target.from_triple(triple)
        machine = target.create_target_machine(cpu=architecture, features=f"+ptx{version}", opt=3)
        return machine.emit_assembly(_optimised(text, machine, triple, solve="alwaysinline", library=False))


def load(code: bytes, symbol: str) -> int:
    """Put an object file's code in this process, for ever, and give the address of one of its functions."""
    with _LOCK:
        llvm = _binding()
        # All sections in one piece: code reaches its constants by 32 bits, which a busy process can put further apart
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _host_machine(), use_lmm=True)
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        _ENGINES.append(engine)
        return engine.get_function_address(symbol)


def _optimised(text: str, machine: Any, triple: str, solve: str, library: bool = True) -> Any:
    llvm = _binding()
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = triple, str(machine.target_data)
    module.verify()
    for function in module.functions:
        # LLVM ends the process at a symbol that it cannot find: say so before
        if function.is_declaration and not function.name.startswith("llvm."):
            raise ValueError(f"the kernel calls {function.name}, which is outside of it")
        if not library and _LIBRARY.fullmatch(function.name):
            raise ValueError(f"the kernel calls {function.name}, for which this device has no instruction")
        if function.name == "solve":
            function.linkage = "internal"
            function.add_function_attribute(solve)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.slp_vectorization = options.loop_vectorization = False  # the lanes are vectors already
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def _host_machine() -> Any:
    triple, name, features = host()
    target = _binding().Target.from_triple(triple)
    return target.create_target_machine(cpu=name, features=features, opt=3, reloc="pic", codemodel="default")


@functools.cache
def _binding(every: bool = False) -> Any:
    """The binding to LLVM, made ready for this processor, or for every target that it was built with."""
    import llvmlite.binding as llvm

    if every:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    else:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    return llvm
