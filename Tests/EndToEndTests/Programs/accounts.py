# Threads that move money between accounts as fast as they can: the sum never changes. The bank ends when DIRECTORY/stop is there, and
# writes what it found to DIRECTORY/result.
import os
import random
import sys
import threading
import time

directory = sys.argv[1]
ACCOUNTS, WEALTH = 20000, 1000
accounts = [{"number": number, "amount": WEALTH, "history": []} for number in range(ACCOUNTS)]
lock = threading.Lock()
moves = [0] * 4
ending = threading.Event()


def move(thread):
    dice = random.Random(thread)
    while not ending.is_set():
        with lock:
            giver, taker = dice.sample(accounts, 2)
            amount = dice.randrange(giver["amount"] + 1)
            giver["amount"] -= amount
            taker["amount"] += amount
            taker["history"] = (taker["history"] + [(giver["number"], amount)])[-4:]
            moves[thread] += 1


def check():
    with lock:
        assert sum(account["amount"] for account in accounts) == ACCOUNTS * WEALTH
        assert all(account["number"] == number for number, account in enumerate(accounts))
        assert all(0 <= giver < ACCOUNTS and amount >= 0 for account in accounts for giver, amount in account["history"])


threads = [threading.Thread(target=move, args=(number,)) for number in range(len(moves))]
for thread in threads:
    thread.start()
while min(moves) < 100:
    time.sleep(0.01)
open(os.path.join(directory, "ready"), "w").close()
while not os.path.exists(os.path.join(directory, "stop")):
    check()
    time.sleep(0.02)
before = min(moves)
while min(moves) < before + 100:
    time.sleep(0.01)
ending.set()
for thread in threads:
    thread.join()
check()
with open(os.path.join(directory, "result"), "w") as result:
    result.write("right\n")
