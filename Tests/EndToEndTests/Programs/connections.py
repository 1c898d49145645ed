"""Servers and clients of TCP connections, for tests in which only one of the two is checkpointed.

connections.py serve DIR            sends back what comes, on 127.0.0.1 and ::1; DIR/ports tells where, DIR/ended how connections ended
connections.py client DIR COUNT     keeps COUNT connections busy until DIR/finish is there; compares every byte; DIR/result
"""
import asyncio, hashlib, os, random, sys, time

FOLDER = sys.argv[2]


def write(name, text):
    with open(f"{FOLDER}/{name}.new", "w") as file:
        file.write(text)
    os.rename(f"{FOLDER}/{name}.new", f"{FOLDER}/{name}")


def tell(name, text):
    with open(f"{FOLDER}/{name}", "a") as file:
        file.write(text + "\n")


async def answer(reader, writer):
    count = 0
    try:
        while data := await reader.read(65536):
            count += len(data)
            writer.write(data)
            await writer.drain()
        tell("ended", f"end after {count}")
        writer.close()
    except OSError as error:
        tell("ended", f"{type(error).__name__} after {count}")


async def serve():
    four = await asyncio.start_server(answer, "127.0.0.1", 0)
    six = await asyncio.start_server(answer, "::1", 0)
    write("ports", " ".join(str(one.sockets[0].getsockname()[1]) for one in (four, six)))
    await asyncio.Event().wait()


class Client:
    bytes = 0
    last = time.monotonic()

    def __init__(self, number):
        self.number = number
        self.random = random.Random(number)

    async def send(self, writer):
        sent = hashlib.sha256()
        while not os.path.exists(FOLDER + "/finish"):
            block = self.random.randbytes(self.random.choice((1, 100, 5000, 200_000)))
            sent.update(block)
            writer.write(block)
            await writer.drain()
            if self.random.random() < 0.3:
                await asyncio.sleep(0.01)
        writer.write_eof()
        return sent.hexdigest()

    async def receive(self, reader):
        received = hashlib.sha256()
        while data := await reader.read(65536):
            received.update(data)
            self.bytes += len(data)
        return received.hexdigest()

    async def run(self, ports):
        host = ("127.0.0.1", "::1")[self.number % 2]
        reader, writer = await asyncio.open_connection(host, ports[self.number % 2])
        sent, received = await asyncio.gather(self.send(writer), self.receive(reader))
        if sent != received:
            raise ValueError(f"connection {self.number}: {self.bytes} bytes came back, and they are others")


async def client(count):
    while not os.path.exists(FOLDER + "/ports"):
        await asyncio.sleep(0.01)
    ports = [int(word) for word in open(FOLDER + "/ports").read().split()]
    clients = [Client(number) for number in range(count)]

    async def report():
        while True:
            write("progress", str(min(one.bytes for one in clients)))
            await asyncio.sleep(0.02)

    reporter = asyncio.create_task(report())
    try:
        await asyncio.gather(*(one.run(ports) for one in clients))
    except Exception as error:
        write("result", f"{type(error).__name__}: {error}")
        sys.exit(1)
    reporter.cancel()
    write("result", "OK")


if sys.argv[1] == "serve":
    asyncio.run(serve())
else:
    asyncio.run(client(int(sys.argv[3])))
