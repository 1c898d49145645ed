import Foundation
import Testing

/// A program of the distribution and a task that keeps it busy for some seconds.
struct Program: CustomTestStringConvertible {
    let name: String
    /// Run by `bash -c` in an empty directory; the result goes to the file `out`.
    let commands: String
    /// Run before, undisturbed.
    var preparation = ""
    /// A program that has to be installed for this test; without it the test is skipped.
    var needs: String?
    var testDescription: String { name }

    static let all = [
        Program(
            name: "perl",
            commands: #"""
                perl -e '
                  my %seen; my $x = 1; open(my $log, ">>", "log"); $log->autoflush(1);
                  for my $round (1..40) {
                    for (1..60000) { $x = ($x * 1103515245 + 12345) % 2147483648; $seen{$x % 5000}++ }
                    print $log "$round $x\n"; select(undef, undef, undef, 0.03);
                  }
                  print join(",", map { "$_=$seen{$_}" } sort { $a <=> $b } keys %seen), "\n"' > out
                cat log >> out
                """#),
        Program(
            name: "gawk",
            commands: #"""
                gawk 'BEGIN {
                  for (i = 1; i <= 4000000; i++) { n[i % 1009] += sqrt(i); if (i % 500000 == 0) print i, n[17] }
                  while (("seq 200000" | getline line) > 0) sum += line
                  printf "%.10f %d\n", n[3], sum }' > out
                """#),
        Program(name: "bc", commands: "echo 'scale = 1900; 4 * a(1); e(1)' | BC_LINE_LENGTH=0 bc -l > out"),
        Program(name: "dc", commands: "dc -e '22000 [d1-d1<F*]dsFx p' > out"),
        Program(
            name: "sqlite3",
            commands: #"""
                sqlite3 :memory: "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
                  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
                    INSERT INTO t SELECT i, hex(i * 7919 % 100003) FROM n;
                  CREATE INDEX i ON t(b);
                  SELECT count(*), min(b), max(b), sum(a * (b > 'A')) FROM t;
                  WITH RECURSIVE n(i, x) AS (SELECT 1, 7 UNION ALL SELECT i + 1, (x * 48271) % 2147483647
                    FROM n WHERE i < 9000000) SELECT sum(x), max(x) FROM n;
                  PRAGMA integrity_check" > out
                """#),
        Program(
            name: "gzip pipeline",
            commands: "seq 6000000 | gzip -9 | tee copy | gunzip | sed 's/7/seven/g' | cksum > out; gunzip < copy | cksum >> out"
        ),
        Program(
            name: "bash with traps and jobs",
            commands: #"""
                count=0; trap 'count=$((count + 1))' USR1; trap 'echo end $count >> out' EXIT
                for i in $(seq 60); do
                  ( sleep 0.03; kill -USR1 $$ ) &
                  until (( count >= i )); do sleep 0.005; done
                  wait
                  echo $i $count >> out
                  (( i % 20 )) || echo $(seq $i | md5sum) >> out
                done
                """#),
        Program(
            name: "tar, xz and find",
            commands: #"""
                mkdir d; for i in $(seq 300); do seq $((i * 97)) > d/$i; done
                tar cf - --sort=name --mtime=@0 --owner=0 --group=0 d | xz -6 | tee a.xz | sha256sum > out
                xz -d < a.xz | tar xf - --transform s/^d/e/; find e -type f | sort | xargs cat | sha256sum >> out
                """#),
        Program(
            name: "make -j2",
            commands: #"""
                cat > Makefile << 'END'
                all: $(patsubst %,part%,$(shell seq 40))
                part%:
                \t@seq $$((200000 + $*)) | sha256sum > $@; sleep 0.05
                END
                sed -i 's/^ *\\t/\t/' Makefile
                make -s -j2 && cat $(ls part* | sort -V) > out
                """#),
        // Pairs of unix sockets, descriptors in flight, semaphores in shared memory.
        Program(
            name: "python3 with a pool and a manager",
            commands: #"""
                cat > pool.py << 'END'
                import multiprocessing, time
                def work(n):
                    time.sleep(0.004)
                    return sum(i * i for i in range(n))
                if __name__ == "__main__":
                    with multiprocessing.Manager() as manager, multiprocessing.Pool(4) as pool:
                        shared, total = manager.dict(), 0
                        for n, one in enumerate(pool.imap(work, range(3000, 3500))):
                            shared[n] = one
                            total += shared[n]
                        print(total, len(shared))
                END
                python3 pool.py > out
                """#),
        Program(
            name: "python3 with asyncio and a socket",
            commands: #"""
                python3 -c '
                import asyncio
                async def serve(reader, writer):
                    while line := await reader.readline():
                        writer.write(b"%d\n" % (int(line) ** 2 % 1009))
                        await writer.drain()
                    writer.close()
                async def client(n):
                    reader, writer = await asyncio.open_unix_connection("s")
                    total = 0
                    for i in range(150):
                        writer.write(b"%d\n" % (i * n))
                        total += int(await reader.readline())
                        await asyncio.sleep(0.01)
                    writer.close()
                    return total
                async def main():
                    server = await asyncio.start_unix_server(serve, "s")
                    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
                    totals = await asyncio.gather(*(client(n) for n in range(5)))
                    out, _ = await process.communicate(repr(totals).encode())
                    print(out.decode())
                asyncio.run(main())' > out
                """#),
        Program(
            name: "rsync",
            commands: #"""
                mkdir from; for i in $(seq 200); do seq $((i * 173)) > from/$i; done
                rsync -a --whole-file --bwlimit=20M from/ to/; diff -r from to && cat to/* | sha256sum > out
                """#),
        // timer_create: coreutils' timeout ends a command that takes too long.
        Program(
            name: "timeout",
            commands: "timeout 100 sleep 1.5; echo $? > out; timeout 2 sleep 50; echo $? >> out"),
        // epoll over a pipe and two eventfds, one of them a semaphore that lets the writer go on; signals from
        // an interval timer all the while.
        Program(
            name: "python3 with epoll and eventfd",
            commands: #"""
                python3 -c '
                import os, select, signal, time
                ticks = 0
                def tick(*_):
                    global ticks
                    ticks += 1
                signal.signal(signal.SIGALRM, tick)
                signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
                source, target = os.pipe()
                room = os.eventfd(4, os.EFD_SEMAPHORE)
                done = os.eventfd(0, os.EFD_CLOEXEC)
                if os.fork() == 0:
                    for number in range(600):
                        os.eventfd_read(room)
                        os.write(target, number.to_bytes(4, "little"))
                        if number % 2: time.sleep(0.01)
                    os.eventfd_write(done, 600)
                    os._exit(0)
                watcher = select.epoll()
                watcher.register(source, select.EPOLLIN)
                watcher.register(done, select.EPOLLIN | select.EPOLLET)
                total = count = expected = 0
                while count != 600 or not expected:
                    for fd, events in watcher.poll(0.5):
                        if fd == done:
                            expected += os.eventfd_read(done)
                        else:
                            total = (total * 31 + int.from_bytes(os.read(source, 4), "little")) % 1000003
                            count += 1
                            os.eventfd_write(room, 1)
                signal.setitimer(signal.ITIMER_REAL, 0)
                print(total, count, expected, ticks > 20)
                ' > out
                """#),
        // Threads that share one lock, a child behind a pipe.
        Program(
            name: "ruby",
            commands: #"""
                ruby -e '
                  queue, out, lock = Queue.new, [], Mutex.new
                  reader, writer = IO.pipe
                  child = fork { reader.close; 200.times { |i| writer.puts i * i; sleep 0.01 }; exit! 7 }
                  writer.close
                  sum = Thread.new { total = 0; while line = reader.gets; total += line.to_i; end; total }
                  threads = 4.times.map do
                    Thread.new do
                      while (item = queue.pop) != :end
                        2000.times { item = (item * 1103515245 + 12345) % 2147483648 }
                        lock.synchronize { out << item }
                        sleep 0.002
                      end
                    end
                  end
                  1500.times { |i| queue << i }
                  4.times { queue << :end }
                  threads.each(&:join)
                  Process.wait child
                  puts out.sum, sum.value, $?.exitstatus' > out
                """#,
            needs: "ruby"),
        // A heap that is collected by threads of its own, code that is compiled while it runs.
        Program(
            name: "java", commands: "java -cp . Work > out",
            preparation: #"""
                cat > Work.java << 'END'
                import java.util.*; import java.util.concurrent.*;
                class Work {
                  public static void main(String[] words) throws Exception {
                    var pool = Executors.newFixedThreadPool(6);
                    var parts = new ArrayList<Future<Long>>();
                    for (int k = 0; k < 40; k++) {
                      final long seed = k;
                      parts.add(pool.submit(() -> {
                        long s = seed; var seen = new HashMap<Long, String>();
                        for (int i = 0; i < 200000; i++) { s = (s * 31 + i) % 1000003; seen.put(s, "" + i); }
                        Thread.sleep(20);
                        return s + seen.size();
                      }));
                    }
                    long total = 0;
                    for (var part : parts) total = total * 7 + part.get();
                    pool.shutdown();
                    System.out.println(total + " " + new ProcessBuilder("sh", "-c", "sleep 0.5; exit 9").start().waitFor());
                  }
                }
                END
                javac Work.java
                """#, needs: "javac"),
        // An event loop, workers, and the thread pool that computes for it.
        Program(
            name: "node", commands: "exec node work.js > out",
            preparation: #"""
                cat > work.js << 'END'
                const { Worker, isMainThread, parentPort } = require('worker_threads'), { pbkdf2 } = require('crypto');
                if (isMainThread) {
                  const out = []; let pending = 4;
                  const done = text => { out.push(text); if (--pending == 0) console.log(out.sort().join(' ')); };
                  for (let k = 0; k < 2; k++) new Worker(__filename).on('message', sum => done('worker ' + sum));
                  let ticks = 0; const timer = setInterval(() => { if (++ticks == 40) { clearInterval(timer); done('ticks'); } }, 50);
                  const next = k => pbkdf2('key', 'salt' + k, 20000, 32, 'sha512', (e, key) => k < 40 ? next(k + 1) : done(key.toString('hex')));
                  next(0);
                } else {
                  let sum = 0; for (let i = 0; i < 2e8; i++) sum = (sum * 31 + i) % 1000003;
                  parentPort.postMessage(sum);
                }
                END
                """#, needs: "node"),
        // Its runtime preempts its threads by signals.
        Program(
            name: "go", commands: "./work > out",
            preparation: #"""
                cat > work.go << 'END'
                package main
                import ("crypto/sha256"; "fmt"; "os/exec"; "runtime"; "sync"; "time")
                func main() {
                  var group sync.WaitGroup; var lock sync.Mutex; sum := 0; work := make(chan int, 8)
                  for k := 0; k < 16; k++ {
                    group.Add(1)
                    go func() {
                      defer group.Done()
                      for i := range work {
                        hash := sha256.Sum256([]byte(fmt.Sprint(i)))
                        for k := 0; k < 300; k++ { hash = sha256.Sum256(hash[:]) }
                        lock.Lock(); sum += int(hash[0]); lock.Unlock()
                      }
                    }()
                  }
                  go func() { for { runtime.GC(); time.Sleep(20 * time.Millisecond) } }()
                  for i := 0; i < 15000; i++ { work <- i; if i % 200 == 0 { time.Sleep(20 * time.Millisecond) } }
                  close(work); group.Wait()
                  said, _ := exec.Command("sh", "-c", "sleep 0.5; echo said").Output()
                  fmt.Println(sum, string(said))
                }
                END
                GOCACHE=$PWD/cache HOME=$PWD go build -o work work.go && rm -rf cache
                """#, needs: "go"),
    ]
}

extension EndToEnd {
    /// Programs of the distribution.
    @Suite struct Programs {
        @Test(arguments: Program.all)
        func endsAsUndisturbed(program: Program) throws {
            if let needed = program.needs, !Host.has(needed) { try Test.cancel("needs \(needed)") }
            try Self.compareWithUndisturbed(program)
        }

        static func compareWithUndisturbed(_ program: Program) throws {
            let calm = try Scratch()
            try prepare(program, in: calm)
            let prepared = calm.file("prepared")
            try calm.run(["cp", "-a", calm.file("work"), prepared]).require()
            let seconds = try Clock.seconds { try calm.run(shell(program, in: calm), seconds: 300).require() }
            let wanted = calm.bytes("work/out")
            try #require(!wanted.isEmpty)

            for place in Place.allCases {
                let scratch = try Scratch()
                try scratch.checkpointAndKillMidway(after: seconds * Double.random(in: 0.05...0.25)) {
                    try scratch.run(["bash", "-c", "rm -rf '\(scratch.file("work"))'; cp -a '\(prepared)' '\(scratch.file("work"))'"]).require()
                    return try scratch.start(shell(program, in: scratch))
                }
                var (running, root) = try scratch.restart(place)
                // On a busy machine the undisturbed run can have taken far longer than this one does.
                for _ in 1..<place.rounds {
                    Clock.sleep(seconds * Double.random(in: 0.05...0.25))
                    guard try scratch.checkpointAndKillUnlessEnded(root, of: running) else { break }
                    (running, root) = try scratch.restart(place)
                }
                #expect(try running.wait(seconds: 300) == .exited(0), "\(running.errors)")
                #expect(scratch.bytes("work/out") == wanted, "\(place.testDescription)")
                #expect(scratch.becomesEmpty())
            }
        }

        private static func prepare(_ program: Program, in scratch: Scratch) throws {
            let work = scratch.file("work")
            try scratch.run(["bash", "-c", "mkdir \(work); cd \(work)\n\(program.preparation)"], seconds: 300).require()
        }

        private static func shell(_ program: Program, in scratch: Scratch) -> [String] {
            ["bash", "-c", "cd \(scratch.file("work"))\n\(program.commands)"]
        }
    }
}
