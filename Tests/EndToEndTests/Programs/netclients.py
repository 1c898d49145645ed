"""Clients outside of the tree of a network server. They never connect twice, and compare everything that comes back.

netclients.py KIND PORT DIR
DIR/ready: all are connected, and have had answers. DIR/finish: they come to an end. DIR/result: OK, or what was wrong.
"""
import hashlib, http.client, os, random, socket, ssl, subprocess, sys, threading, time

KIND, PORT, FOLDER = sys.argv[1], int(sys.argv[2]), sys.argv[3]
problems = []
mine = threading.local()


def write(name, text):
    with open(f"{FOLDER}/{name}.new", "w") as file:
        file.write(text)
    os.rename(f"{FOLDER}/{name}.new", f"{FOLDER}/{name}")


def finished():
    return os.path.exists(FOLDER + "/finish")


def warm():
    events[mine.number].set()


def connect():
    connection = socket.create_connection(("127.0.0.1", PORT))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def expect(seen, wanted, what):
    if seen != wanted:
        raise ValueError(f"{what}: {seen!r:.200} instead of {wanted!r:.200}")


def rounds(body):
    """Calls body(round) until the end is wanted; the first time makes the client count as warm."""
    count = 0
    while not finished():
        body(count)
        count += 1
        if count == 3:
            warm()
    return count


def redis(number):
    """Commands in pipelines of 200, each answered in its order."""
    connection = connect()
    file = connection.makefile("rb")
    value = random.Random(number).randbytes(20000)

    def command(*words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    connection.sendall(command("SET", f"value:{number}", value))
    expect(file.readline(), b"+OK\r\n", "SET")

    def body(count):
        batch = b"".join(command("INCR", f"counter:{number}") + command("GET", f"value:{number}") for _ in range(100))
        sender = threading.Thread(target=connection.sendall, args=(batch,))
        sender.start()
        for place in range(100):
            expect(file.readline(), b":%d\r\n" % (count * 100 + place + 1), "INCR")
            expect(file.readline(), b"$20000\r\n", "GET")
            expect(file.read(20002), value + b"\r\n", "GET")
        sender.join()

    rounds(body)


def memcached(number):
    connection = connect()
    file = connection.makefile("rb")

    def body(count):
        value = random.Random(f"{number} {count}").randbytes(3000)
        connection.sendall(b"set k%d 0 0 3000\r\n%s\r\nget k%d\r\nget k%d\r\n" % (number, value, number, number))
        expect(file.readline(), b"STORED\r\n", "set")
        wanted = b"VALUE k%d 0 3000\r\n%s\r\nEND\r\n" % (number, value)
        for _ in range(2):
            expect(file.read(len(wanted)), wanted, "get")

    rounds(body)


def web(number):
    """Even ones: many requests on one connection. Odd ones: downloads that are read slowly."""
    wanted = hashlib.sha256(open(FOLDER + "/www/file", "rb").read()).hexdigest()
    client = http.client.HTTPConnection("127.0.0.1", PORT)
    client.auto_open = 0
    client.connect()

    def body(count):
        client.request("GET", "/small" if number % 2 == 0 else "/file")
        response = client.getresponse()
        expect(response.status, 200, "status")
        if number % 2 == 0:
            expect(response.read(), b"small\n", "body")
            return time.sleep(0.001)
        digest = hashlib.sha256()
        while data := response.read(65536):
            digest.update(data)
            if not finished():
                time.sleep(0.002)
            warm()
        expect(digest.hexdigest(), wanted, "digest")

    rounds(body)


def tls(number):
    context = ssl.create_default_context(cafile=FOLDER + "/cert.pem")
    connection = context.wrap_socket(connect(), server_hostname="localhost")
    source = random.Random(number)

    def body(count):
        data = source.randbytes(source.choice((1, 1000, 30000)))
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        seen = b""
        while len(seen) < len(data):
            part = connection.recv(65536)
            if not part:
                raise ValueError("closed")
            seen += part
        sender.join()
        expect(seen, data, "echo")
        time.sleep(0.05)

    rounds(body)


def packet(kind, body):
    length, rest = b"", len(body)
    while True:
        length += bytes([rest % 128 | (128 if rest > 127 else 0)])
        rest //= 128
        if rest == 0:
            return bytes([kind]) + length + body


def text(string):
    return len(string).to_bytes(2, "big") + string.encode()


class Mqtt:
    """MQTT 3.1.1 with quality of service 1."""

    def __init__(self, name):
        self.socket = connect()
        self.file = self.socket.makefile("rb")
        self.send(0x10, text("MQTT") + bytes([4, 2, 0, 60]) + text(name))
        expect(self.read(), (0x20, b"\0\0"), "CONNACK")

    def send(self, kind, body):
        self.socket.sendall(packet(kind, body))

    def read(self):
        kind, shift, length = self.file.read(1)[0], 0, 0
        while True:
            byte = self.file.read(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return kind, self.file.read(length)


def mqtt(number):
    """Even ones subscribe, odd ones publish; nothing is lost and nothing comes twice."""
    client = Mqtt(f"client{number}")
    topic = f"topic{number // 2}"
    if number % 2 == 0:
        client.send(0x82, b"\0\1" + text(topic) + b"\1")
        expect(client.read(), (0x90, b"\0\1\1"), "SUBACK")
        subscribed[number // 2].set()
        count = 0
        while True:
            kind, body = client.read()
            expect(kind & 0xF0, 0x30, "PUBLISH")
            message = body[2 + len(topic) + 2 :]
            client.send(0x40, body[2 + len(topic) :][:2])
            if message == b"end":
                return
            expect(message, b"%d" % count, "message")
            count += 1
            if count == 3:
                warm()
    subscribed[number // 2].wait()

    def publish(identifier, message):
        client.send(0x32, text(topic) + identifier.to_bytes(2, "big") + message)
        expect(client.read(), (0x40, identifier.to_bytes(2, "big")), "PUBACK")

    def body(count):
        publish(count % 60000 + 1, b"%d" % count)
        time.sleep(0.002)

    rounds(body)
    publish(60001, b"end")


def postgresql(number):
    """psql in a transaction with an open cursor: it fetches the rest, and commits."""
    import glob

    psql = sorted(glob.glob("/usr/lib/postgresql/*/bin/psql"))[-1]
    child = subprocess.Popen(
        [psql, "-h", "127.0.0.1", "-p", str(PORT), "-U", "postgres", "-qtAX", "-v", "ON_ERROR_STOP=1", "postgres"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def ask(command, lines):
        child.stdin.write(command.encode() + b"\n\\echo done\n")
        child.stdin.flush()
        for line in lines:
            expect(child.stdout.readline(), b"%s\n" % str(line).encode(), command)
        expect(child.stdout.readline(), b"done\n", command)

    ask(f"begin; create table t{number} (n int); insert into t{number} select generate_series(1, 1000); "
        "declare c cursor for select generate_series(1, 50000); fetch 1000 in c;", range(1, 1001))
    warm()
    while not finished():
        time.sleep(0.05)
    ask("fetch all in c;", range(1001, 50001))
    ask(f"commit; select count(*) from t{number};", [1000])
    child.stdin.close()
    expect(child.wait(), 0, "psql")


def sshd(number):
    """An interactive session, in which a shell is typed to."""
    child = subprocess.Popen(
        ["ssh", "-tt", "-F", "none", "-p", str(PORT), "-i", FOLDER + "/key", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", "LogLevel=ERROR", "root@127.0.0.1", "exec bash --norc -i"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    child.stdin.write(b"stty -echo; PS1=\n")
    child.stdin.flush()

    def body(count):
        child.stdin.write(b"echo answer $((%d * 7))\n" % count)
        child.stdin.flush()
        wanted = b"answer %d" % (count * 7)
        while True:
            line = child.stdout.readline()
            if not line:
                raise ValueError(f"the session ended with {child.wait()}")
            if line.strip() == wanted:
                break
        time.sleep(0.02)

    rounds(body)
    child.stdin.write(b"exit 7\n")
    child.stdin.close()
    expect(child.wait(), 7, "ssh")


COUNTS = {"redis": 4, "memcached": 8, "web": 8, "tls": 200, "mqtt": 6, "postgresql": 10, "sshd": 2}
subscribed = [threading.Event() for _ in range(COUNTS["mqtt"] // 2)]


events = [threading.Event() for _ in range(COUNTS[KIND])]


def run(number):
    mine.number = number
    try:
        globals()[KIND](number)
    except Exception as error:
        problems.append(f"client {number}: {type(error).__name__}: {error}")
        warm()


threads = [threading.Thread(target=run, args=(number,)) for number in range(COUNTS[KIND])]
for thread in threads:
    thread.start()
for event in events:
    event.wait()
write("ready", "")
for thread in threads:
    thread.join()
write("result", "\n".join(problems) or "OK")
sys.exit(1 if problems else 0)
