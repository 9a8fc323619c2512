; XLA's side of a CPU kernel: reads the call frame, checks it, and serves the patients by @share. See handler.py, which
; fills this text in.

$messages

define internal ptr @refusal(ptr %frame, ptr %message) #90 {
  %arguments = alloca [4 x i64], align 8
  %extension.at = getelementptr i8, ptr %arguments, i64 8
  %message.at = getelementptr i8, ptr %arguments, i64 16
  %code.at = getelementptr i8, ptr %arguments, i64 24
  store i64 28, ptr %arguments
  store ptr null, ptr %extension.at
  store ptr %message, ptr %message.at
  store i32 3, ptr %code.at ; invalid argument
  %api.at = getelementptr i8, ptr %frame, i64 16
  %api = load ptr, ptr %api.at
  %create.at = getelementptr i8, ptr %api, i64 48
  %create = load ptr, ptr %create.at
  %error = call ptr %create(ptr %arguments)
  ret ptr %error
}

; Is a buffer of this type, two axes and this size? %patients is -1 for the first, which sets it.
define internal i1 @fits(ptr %buffer, i32 %dtype, i64 %size, i64 %patients) #90 {
  %dtype.at = getelementptr i8, ptr %buffer, i64 16
  %rank.at = getelementptr i8, ptr %buffer, i64 32
  %shape.at = getelementptr i8, ptr %buffer, i64 40
  %given = load i32, ptr %dtype.at
  %rank = load i64, ptr %rank.at
  %typed = icmp eq i32 %given, %dtype
  %flat = icmp eq i64 %rank, 2
  %plain = and i1 %typed, %flat
  br i1 %plain, label %measure, label %no
measure:
  %shape = load ptr, ptr %shape.at
  %width.at = getelementptr i64, ptr %shape, i64 1
  %length = load i64, ptr %shape
  %width = load i64, ptr %width.at
  %wide = icmp eq i64 %width, %size
  %first = icmp slt i64 %patients, 0
  %same = icmp eq i64 %length, %patients
  %long = or i1 %first, %same
  %fits = and i1 %wide, %long
  ret i1 %fits
no:
  ret i1 false
}

define ptr @$handler(ptr %frame) #90 {
entry:
  %in = alloca [$inputs x ptr], align 8
  %out = alloca [$outputs x ptr], align 8
  %extension.at = getelementptr i8, ptr %frame, i64 8
  %extension = load ptr, ptr %extension.at
  %extended = icmp ne ptr %extension, null
  br i1 %extended, label %asked, label %begin
asked:
  %kind.at = getelementptr i8, ptr %extension, i64 8
  %kind = load i32, ptr %kind.at
  %metadata = icmp eq i32 %kind, 1
  br i1 %metadata, label %answer, label %begin
answer: ; which version of the interface this was written for
  %facts.at = getelementptr i8, ptr %extension, i64 24
  %facts = load ptr, ptr %facts.at
  %major.at = getelementptr i8, ptr %facts, i64 24
  %minor.at = getelementptr i8, ptr %facts, i64 28
  store i32 $major, ptr %major.at
  store i32 $minor, ptr %minor.at
  ret ptr null

begin:
  %api.at = getelementptr i8, ptr %frame, i64 16
  %api = load ptr, ptr %api.at
  %stage.at = getelementptr i8, ptr %frame, i64 32
  %stage = load i32, ptr %stage.at
  %executes = icmp eq i32 %stage, 3
  br i1 %executes, label %version, label %refuse
version:
  %has.major.at = getelementptr i8, ptr %api, i64 32
  %has.minor.at = getelementptr i8, ptr %api, i64 36
  %has.major = load i32, ptr %has.major.at
  %has.minor = load i32, ptr %has.minor.at
  %same.major = icmp eq i32 %has.major, $major
  %late.minor = icmp sge i32 %has.minor, $minor
  %known = and i1 %same.major, %late.minor
  br i1 %known, label %counts, label %refuse
counts:
  %inputs.at = getelementptr i8, ptr %frame, i64 56
  %outputs.at = getelementptr i8, ptr %frame, i64 96
  %inputs = load i64, ptr %inputs.at
  %outputs = load i64, ptr %outputs.at
  %right.inputs = icmp eq i64 %inputs, $inputs
  %right.outputs = icmp eq i64 %outputs, $outputs
  %right = and i1 %right.inputs, %right.outputs
  %ins.at = getelementptr i8, ptr %frame, i64 72
  %outs.at = getelementptr i8, ptr %frame, i64 112
  %ins = load ptr, ptr %ins.at
  %outs = load ptr, ptr %outs.at
  br i1 %right, label %check.0, label %refuse
$checks
checked:
  call void @share(ptr %frame, ptr %in, ptr %out, i64 %patients)
  ret ptr null
refuse:
  %message = phi ptr $refusals
  %error = call ptr @refusal(ptr %frame, ptr %message)
  ret ptr %error
}

attributes #90 = { noinline nounwind optnone "no-stack-arg-probe" }
