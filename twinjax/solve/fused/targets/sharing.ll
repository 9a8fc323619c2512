; The patients of one call shared out among XLA's threads, around @solve(ptr %in, ptr %out, i64 %begin, i64 %end). See
; handler.py, which fills this text in.

@jobs = internal global [$jobs x [16 x i64]] zeroinitializer, align 128
$declare

; A job in 128 bytes: 0 shares held, 1 next block, 2 blocks done, 3 blocks, 4 patients in a block, 5 patients, 6 inputs, 7 outputs.

define internal void @work(ptr %job) #90 {
  %next = getelementptr i64, ptr %job, i64 1
  %done = getelementptr i64, ptr %job, i64 2
  %blocks.at = getelementptr i64, ptr %job, i64 3
  %size.at = getelementptr i64, ptr %job, i64 4
  %patients.at = getelementptr i64, ptr %job, i64 5
  %in.at = getelementptr i64, ptr %job, i64 6
  %out.at = getelementptr i64, ptr %job, i64 7
  %blocks = load i64, ptr %blocks.at
  %size = load i64, ptr %size.at
  %patients = load i64, ptr %patients.at
  %in = load ptr, ptr %in.at
  %out = load ptr, ptr %out.at
  br label %claim
claim:
  %block = atomicrmw add ptr %next, i64 1 monotonic
  %left = icmp slt i64 %block, %blocks
  br i1 %left, label %run, label %end
run:
  %begin = mul i64 %block, %size
  %far = add i64 %begin, %size
  %past = icmp sgt i64 %far, %patients
  %stop = select i1 %past, i64 %patients, i64 %far
  call void @solve(ptr %in, ptr %out, i64 %begin, i64 %stop)
  %before = atomicrmw add ptr %done, i64 1 release
  br label %claim
end:
  ret void
}

; What XLA's threads run. A task that starts late finds no block, and touches nothing but the job that it still holds.
define internal void @task(ptr %job) #90 {
  call void @work(ptr %job)
  %before = atomicrmw sub ptr %job, i64 1 release
  ret void
}

define internal void @drop(ptr %frame, ptr %error) #90 {
  %arguments = alloca [3 x i64], align 8
  %extension.at = getelementptr i8, ptr %arguments, i64 8
  %error.at = getelementptr i8, ptr %arguments, i64 16
  store i64 24, ptr %arguments
  store ptr null, ptr %extension.at
  store ptr %error, ptr %error.at
  %api.at = getelementptr i8, ptr %frame, i64 16
  %api = load ptr, ptr %api.at
  %destroy.at = getelementptr i8, ptr %api, i64 64
  %destroy = load ptr, ptr %destroy.at
  call void %destroy(ptr %arguments)
  ret void
}

define internal void @share(ptr %frame, ptr %in, ptr %out, i64 %patients) #90 {
entry:
  %count = alloca i64, align 8
  %query = alloca [4 x i64], align 8
  %order = alloca [5 x i64], align 8
  %api.at = getelementptr i8, ptr %frame, i64 16
  %api = load ptr, ptr %api.at
  %context.at = getelementptr i8, ptr %frame, i64 24
  %context = load ptr, ptr %context.at
  %nobody = icmp eq i64 %patients, 0
  br i1 %nobody, label %finished, label %plan
plan: ; how many threads has XLA, and into how many blocks do the patients go?
  %query.extension = getelementptr i64, ptr %query, i64 1
  %query.context = getelementptr i64, ptr %query, i64 2
  %query.count = getelementptr i64, ptr %query, i64 3
  store i64 32, ptr %query
  store ptr null, ptr %query.extension
  store ptr %context, ptr %query.context
  store ptr %count, ptr %query.count
  store i64 1, ptr %count
  %threads.call.at = getelementptr i8, ptr %api, i64 144
  %threads.call = load ptr, ptr %threads.call.at
  %query.error = call ptr %threads.call(ptr %query)
  %has.pool = icmp eq ptr %query.error, null
  br i1 %has.pool, label %cut, label %no.pool
no.pool:
  call void @drop(ptr %frame, ptr %query.error)
  br label %alone
cut:
  %threads = load i64, ptr %count
  %many = icmp sgt i64 %threads, 1
  %splits = icmp sgt i64 $block, 0
  %shared = and i1 %many, %splits
  br i1 %shared, label %size, label %alone
size:
  %shares = mul i64 %threads, $share
  %fair.0 = add i64 %patients, %shares
  %fair.1 = sub i64 %fair.0, 1
  %fair = udiv i64 %fair.1, %shares
  %whole.0 = add i64 %fair, ${lanes_less_one}
  %whole.1 = udiv i64 %whole.0, $lanes
  %whole = mul i64 %whole.1, $lanes
  %large = icmp sgt i64 %whole, $block
  %block = select i1 %large, i64 $block, i64 %whole
  %blocks.0 = add i64 %patients, %block
  %blocks.1 = sub i64 %blocks.0, 1
  %blocks = udiv i64 %blocks.1, %block
  %several = icmp sgt i64 %blocks, 1
  %few = icmp slt i64 %blocks, %threads
  %hands = select i1 %few, i64 %blocks, i64 %threads
  %helpers = sub i64 %hands, 1
  br i1 %several, label %find, label %alone

find: ; a free job
  %place = phi i64 [ 0, %size ], [ %place.next, %taken ]
  %job = getelementptr [16 x i64], ptr @jobs, i64 %place
  %swap = cmpxchg ptr %job, i64 0, i64 %hands acq_rel monotonic
  %ours = extractvalue { i64, i1 } %swap, 1
  br i1 %ours, label %fill, label %taken
taken:
  %place.next = add i64 %place, 1
  %others = icmp slt i64 %place.next, $jobs
  br i1 %others, label %find, label %alone
fill:
  %job.next = getelementptr i64, ptr %job, i64 1
  %job.done = getelementptr i64, ptr %job, i64 2
  %job.blocks = getelementptr i64, ptr %job, i64 3
  %job.size = getelementptr i64, ptr %job, i64 4
  %job.patients = getelementptr i64, ptr %job, i64 5
  %job.in = getelementptr i64, ptr %job, i64 6
  %job.out = getelementptr i64, ptr %job, i64 7
  store i64 0, ptr %job.next
  store i64 0, ptr %job.done
  store i64 %blocks, ptr %job.blocks
  store i64 %block, ptr %job.size
  store i64 %patients, ptr %job.patients
  store ptr %in, ptr %job.in
  store ptr %out, ptr %job.out
  %order.extension = getelementptr i64, ptr %order, i64 1
  %order.context = getelementptr i64, ptr %order, i64 2
  %order.task = getelementptr i64, ptr %order, i64 3
  %order.job = getelementptr i64, ptr %order, i64 4
  store i64 40, ptr %order
  store ptr null, ptr %order.extension
  store ptr %context, ptr %order.context
  store ptr @task, ptr %order.task
  store ptr %job, ptr %order.job
  %schedule.at = getelementptr i8, ptr %api, i64 136
  %schedule = load ptr, ptr %schedule.at
  br label %offer
offer:
  %sent = phi i64 [ 0, %fill ], [ %sent.next, %accepted ]
  %unsent = sub i64 %helpers, %sent
  %more = icmp sgt i64 %unsent, 0
  br i1 %more, label %send, label %join
send:
  %order.error = call ptr %schedule(ptr %order)
  %good = icmp eq ptr %order.error, null
  br i1 %good, label %accepted, label %rejected
accepted:
  %sent.next = add i64 %sent, 1
  br label %offer
rejected:
  call void @drop(ptr %frame, ptr %order.error)
  %held = atomicrmw sub ptr %job, i64 %unsent monotonic
  br label %join
join:
  call void @work(ptr %job)
  br label %wait
wait: ; for blocks that others are at work on
  %done = load atomic i64, ptr %job.done acquire, align 8
  %all = icmp eq i64 %done, %blocks
  br i1 %all, label %leave, label %rest
rest:
  $pause
  br label %wait
leave:
  %last = atomicrmw sub ptr %job, i64 1 release
  br label %finished

alone:
  call void @solve(ptr %in, ptr %out, i64 0, i64 %patients)
  br label %finished
finished:
  ret void
}
