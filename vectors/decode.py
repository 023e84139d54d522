#!/usr/bin/env python3
"""Reads Posthaste datagrams, written from docs/protocol.md alone and with no eye on speed.

    decode.py            checks every vector beside this file
    decode.py HEX        prints the meaning of one datagram of an unprotected conversation

Sentences are cited as in the document.
"""

import json
import pathlib
import sys

VERSION = 0x50480001
EPOCHS = ["hello", "handshake", "data"]
SIDES = ["client", "server"]
CARRIERS = [f"{epoch} {side}" for epoch in EPOCHS for side in SIDES]
ROLES = ["MESSAGE", "ORDERED", "REQUEST", "REPLY", "UPWARD", "DOWNWARD", "UNRELIABLE", "NEWEST"]
FORMS = ["entire", "fragment", "stream", "last"]

# Section 6: the letters of the column "epochs".
TABLE = {
    0x00: "H S D", 0x01: "D", 0x02: "D", 0x03: "D", 0x04: "D", 0x05: "D", 0x06: "H:C D", 0x07: "D", 0x08: "D",
    0x09: "D", 0x0A: "D", 0x0B: "D", 0x0C: "D", 0x0D: "D", 0x0E: "S D", 0x0F: "D", 0x10: "D", 0x11: "H",
    0x12: "H:V D:V", 0x13: "H:C D:C", 0x14: "H S D", 0x15: "H S D", 0x16: "H:C D", 0x17: "D", 0x18: "D",
    0x19: "D", 0x1A: "D",
}
LETTERS = {"H": "hello", "S": "handshake", "D": "data", "C": "client", "V": "server"}


class Refused(Exception):
    """A datagram is discarded ("discard"), or closes its conversation with a code."""

    def __init__(self, reaction, sentence):
        super().__init__(f"{reaction} ({sentence})")
        self.reaction = reaction


def need(condition, sentence, reaction="malformed"):
    if not condition:
        raise Refused(reaction, sentence)


class Octets:
    def __init__(self, octets):
        self.octets = octets
        self.at = 0

    def left(self):
        return len(self.octets) - self.at

    def take(self, count):
        need(count <= self.left(), "5.4")
        self.at += count
        return self.octets[self.at - count : self.at]

    def rest(self):
        return self.take(self.left())

    def uint(self, count):
        return int.from_bytes(self.take(count), "big")

    def varint(self, low=0, high=2**62 - 1):
        start = self.at
        length = 1 << (self.take(1)[0] >> 6)
        self.at = start
        value = self.uint(length) & ((1 << (8 * length - 2)) - 1)
        shortest = next(n for n in (1, 2, 4, 8) if value < 1 << (8 * n - 2))
        need(length == shortest, "2.3")
        need(low <= value <= high, "5.7")
        return value

    def u8(self, low, high):
        value = self.uint(1)
        need(low <= value <= high, "5.7")
        return value

    def counted(self, high=2**62):
        length = self.varint()
        need(length <= high, "5.7")
        return self.take(length)


def crc32c(octets):
    register = 0xFFFFFFFF
    for octet in octets:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def ack(o, kind):
    largest, delay, count = o.varint(), o.varint(), o.varint()
    need(count <= 31, "6.2.2")
    low = largest - o.varint()
    ranges = [[low, largest]]
    for _ in range(count):
        high = low - o.varint() - 2
        low = high - o.varint()
        ranges.append([low, high])
    need(low >= 0, "6.2.1")
    ecn = {"ecn": [o.varint(), o.varint(), o.varint()]} if kind == 3 else {}
    return {"frame": "ACK_ECN" if kind == 3 else "ACK", "delay": delay, "ranges": ranges, **ecn}


def retired(o):
    low, count = o.varint(), o.varint()
    need(count <= 16, "6.4.1")
    listed, above = [], low
    for _ in range(count):
        above -= 1 + o.varint()
        listed.append(above)
    need(above >= 0, "6.4.1")
    return {"frame": "RETIRED", "low": low, "listed": listed}


def items(octets, sentence):
    o, found = Octets(octets), []
    while o.left():
        key = o.varint()
        need(not found or key > found[-1][0], sentence)
        found.append([key, o.counted().hex()])
    return found


def only_varint(value, low=0, high=2**62 - 1):
    o = Octets(bytes.fromhex(value))
    number = o.varint(low, high)
    need(o.left() == 0, "6.11.1")
    return number


def parameters(octets):
    ranges = {
        1: (1200, 2**30, 65536), 2: (4096, 2**62 - 1, 2**20), 3: (16, 65536, 64), 4: (0, 2**30, 0), 5: (1200, 65527, 1200),
        6: (0, 2**24, 5000), 7: (1000, 2**32, 600000), 8: (0, 256, 0), 9: (0, 65536, 0), 10: (0, 4096, 0),
    }
    values = {key: absent for key, (_, _, absent) in ranges.items()}
    for key, value in items(octets, "6.11.1"):
        if key in ranges:
            values[key] = only_varint(value, *ranges[key][:2])
    need(values[2] >= values[1], "6.11.1")
    return [values[key] for key in sorted(values)]


def metadata(o):
    octets = o.counted(4096)
    found = items(octets, "6.18.1")
    for key, value in found:
        if key in (2, 4, 10, 13, 14):
            only_varint(value, 0, 3 if key == 4 else 2**62 - 1)
    return found


def procedure(o):
    first = o.varint()
    alias = first // 2
    need(alias <= 256 and (alias > 0 or first % 2 == 1), "6.17.5", "alias")
    if first % 2 == 0:
        return {"alias": alias}
    full = {"program": o.varint(0, 2**32 - 1), "version": o.varint(0, 2**32 - 1), "procedure": o.varint(0, 2**32 - 1)}
    return {"alias": alias, **full, "options": o.u8(0, 31), "timeout": o.varint(0, 2**32 - 1)}


def data(o, kind):
    role, form, counted, has_metadata = ROLES[kind >> 4 & 7], FORMS[kind >> 2 & 3], kind >> 1 & 1, kind & 1
    f = {"frame": "data", "role": role, "form": form, "counted": bool(counted)}
    if role == "NEWEST":
        f.update(key=o.varint(), order=o.varint())
    if role not in ("UNRELIABLE", "NEWEST"):
        f["seq"] = o.varint()
    if role == "ORDERED":
        f.update(channel=o.varint(), position=o.varint())
    offset = 0
    if form != "entire":
        f["offset"] = offset = o.varint()
    if form == "fragment":
        f["total"] = o.varint()
    need(role not in ("UNRELIABLE", "NEWEST") or form == "entire", "6.16.4")
    need(role not in ("REQUEST", "REPLY") or form in ("entire", "fragment"), "6.16.4")
    need(role not in ("UPWARD", "DOWNWARD") or form in ("stream", "last"), "6.16.4")
    need(not has_metadata or (role in ("REQUEST", "REPLY") and offset == 0), "6.16.4")
    if role == "REQUEST" and offset == 0:
        f["procedure"] = procedure(o)
    if has_metadata:
        if role == "REPLY":
            f["status"] = o.varint(0, 4)
        f["metadata"] = metadata(o)
    octets = o.counted() if counted else o.rest()
    f["data"] = octets.hex()
    need(octets or form in ("entire", "last"), "6.16.5")
    end = offset + len(octets)
    need(end < 2**62 and end <= f.get("total", end), "6.16.6", "fragment")
    return f


def flow(o):
    return {"role": ROLES[o.u8(0, 5)], "seq": o.varint()}


def reset(o):
    f = {"frame": "RESET", **flow(o), "reason": o.varint(), "charge": o.varint()}
    if f["role"] == "ORDERED":
        f.update(channel=o.varint(), position=o.varint())
    return f


def new_id(o):
    f = {"frame": "NEW_ID", "index": o.varint(low=1)}
    f["retire"] = o.varint(high=f["index"])
    f["id"] = o.take(8).hex()
    need(f["id"] != "00" * 8, "4.1")
    return {**f, "reset_token": o.take(16).hex()}


def session(o):
    return {
        "frame": "SESSION", "answers": o.varint(), "outcome": o.u8(0, 2), "incarnation": o.uint(8),
        "session": o.uint(8), "secret": o.take(16).hex(), "lease": o.varint(), "reset_token": o.take(16).hex(),
        "ticket": o.counted(128).hex(),
    }


def handshake(o):
    f = {"frame": "HANDSHAKE", "offset": o.varint()}
    octets = o.counted()
    need(f["offset"] + len(octets) < 2**62, "6.13.1")
    return {**f, "data": octets.hex()}


def padding(o):
    octets = o.rest()
    need(not any(octets), "6.1.1")
    return {"frame": "PADDING", "len": 1 + len(octets)}


def frame(o):
    kind = o.uint(1)
    if kind >= 0x80:
        return data(o, kind)
    if 0x70 <= kind <= 0x7F:
        return {"frame": "private", "type": kind, "data": o.counted().hex()}
    need(kind in TABLE, "5.4")
    # Fields in the order of the table: Python keeps that of a literal.
    return {
        0x00: lambda: padding(o),
        0x01: lambda: {"frame": "PING"},
        0x02: lambda: ack(o, kind),
        0x03: lambda: ack(o, kind),
        0x04: lambda: {"frame": "CREDIT", "limit": o.varint()},
        0x05: lambda: {"frame": "STREAM_CREDIT", **flow(o), "limit": o.varint()},
        0x06: lambda: retired(o),
        0x07: lambda: reset(o),
        0x08: lambda: {"frame": "STOP", **flow(o), "reason": o.varint()},
        0x09: lambda: {"frame": "TAKEN", "channel": o.varint(), "limit": o.varint()},
        0x0A: lambda: {"frame": "CHALLENGE", "data": o.take(8).hex()},
        0x0B: lambda: {"frame": "RESPONSE", "data": o.take(8).hex()},
        0x0C: lambda: new_id(o),
        0x0D: lambda: {"frame": "RETIRE_ID", "index": o.varint()},
        0x0E: lambda: {"frame": "CLOSE", "scope": o.u8(0, 3), "code": o.varint(), "reason": o.counted(256).hex()},
        0x0F: lambda: {"frame": "DRAIN"},
        0x10: lambda: {"frame": "ACK_FREQUENCY", "count": o.varint(1, 255), "delay": o.varint()},
        0x11: lambda: {"frame": "PARAMETERS", "values": parameters(o.counted())},
        0x12: lambda: session(o),
        0x13: lambda: {"frame": "RESUME", "session": o.uint(8), "proof": o.take(16).hex()},
        0x14: lambda: handshake(o),
        0x15: lambda: {"frame": "HANDSHAKE_ACK", "epoch": o.u8(0, 2), "offset": o.varint()},
        0x16: lambda: {"frame": "CANCEL", "seq": o.varint()},
        0x17: lambda: {"frame": "ASK", "seq": o.varint()},
        0x18: lambda: {
            "frame": "PROGRESS", "seq": o.varint(), "state": o.u8(0, 3), "elapsed": o.varint(), "progress": o.varint()
        },
        0x19: lambda: {"frame": "RESOLVE", "seq": o.varint()},
        0x1A: lambda: {"frame": "BUSY", "after": o.varint()},
    }[kind]()


def carriers(kind):
    """5.5: in which epochs, from which sides."""
    if kind >= 0x80:
        letters = "H:C D" if ROLES[kind >> 4 & 7] in ("MESSAGE", "ORDERED", "REQUEST") else "D"  # 4.5
    else:
        letters = "D" if kind >= 0x70 else TABLE[kind]
    found = []
    for letter in letters.split():
        epoch, _, side = letter.partition(":")
        found += [f"{LETTERS[epoch]} {s}" for s in SIDES if not side or LETTERS[side] == s]
    return sorted(found)


def frames(octets, carrier, datagram_len):
    """5.1 to 5.5."""
    o, found = Octets(octets), []
    try:
        while o.left():
            kind = octets[o.at]
            found.append(frame(o))
            need(carrier in carriers(kind), "5.5", "not allowed")
        need(found, "5.1")
        need(len(found) <= -(-datagram_len // 8) + 1, "5.1")
        need(sum(each["frame"] in ("ACK", "ACK_ECN") for each in found) <= 1, "6.2.7")
    except Refused as refused:
        raise Refused("discard", "5.3") if carrier.startswith("hello") else refused
    return found


def datagram(octets):
    """3: a datagram of an unprotected conversation."""
    try:
        o = Octets(octets)
        need(len(octets) <= 65527, "3.1")
        first = o.uint(1)
        form, epoch = first >> 7, first >> 5 & 3
        need((form, epoch) in ((1, 0), (1, 1), (1, 3), (0, 2)), "3.4")
        if epoch == 3:
            return stateless(octets)
        need(epoch != 1, "3.8")
        if form == 1:
            server = first >> 4 & 1
            need(server or len(octets) >= 1200, "3.1.5")
            version, to, sender = o.uint(4), o.take(8), o.take(8)
            need(any(sender), "3.1.4")
            if version != VERSION and not server:
                return {"unknown_version": version, "from": sender.hex()}
            need(version == VERSION, "5.3")
            need(first >> 2 & 3 == 0, "3.1.2")
            token = o.counted(128)
            need(not (server and token), "3.1.3")
            header = {"epoch": "hello", "sender": SIDES[server], "to": to.hex(), "from": sender.hex(), "token": token.hex()}
        else:
            need(first >> 3 & 3 == 0, "3.2.2")
            need(first >> 2 & 1 == 0, "3.2.1")
            header = {"epoch": "data", "to": o.take(8).hex()}
        length = (first & 3) + 1
        header.update(number=o.uint(length), number_len=length)
        need(o.left() >= 4, "5.3")
        body = o.take(o.left() - 4)
        need(o.uint(4) == crc32c(octets[:-4]), "3.7")
    except Refused as refused:
        raise Refused("discard", str(refused))
    carrier = f"{header['epoch']} {header.get('sender', 'client')}"
    return {**header, "frames": frames(body, carrier, len(octets))}


def stateless(octets):
    """3.3."""
    need(len(octets) >= 5 and int.from_bytes(octets[-4:], "big") == crc32c(octets[:-4]), "3.7")
    o = Octets(octets[:-4])
    kind = o.uint(1) & 0x1F
    need(16 <= kind <= 18, "3.3.7")
    if kind == 16:
        need(o.uint(4) == VERSION, "5.3")
        meaning = {"stateless": "retry", "to": o.take(8).hex(), "answers": o.varint()}
        token = o.counted(128)
        need(token, "3.3.3")
        meaning["token"] = token.hex()
    elif kind == 17:
        meaning = {"stateless": "version", "to": o.take(8).hex()}
        need(o.left() >= 4, "3.3.4")
        meaning["versions"] = [o.uint(4) for _ in range(-(-o.left() // 4))]
    else:
        meaning = {"stateless": "reset", "id": o.take(8).hex(), "reset_token": o.take(16).hex()}
    need(o.left() == 0, "5.3")
    return meaning


def reaction(decode):
    try:
        return decode(), None
    except Refused as refused:
        return None, refused.reaction


def check_all():
    here = pathlib.Path(__file__).parent
    count = 0

    def same(name, found, expected):
        nonlocal count
        count += 1
        if found != expected:
            sys.exit(f"{name}:\n  found    {found}\n  expected {expected}")

    for v in json.loads((here / "frames.json").read_text()):
        octets = bytes.fromhex(v["hex"])
        allowed = {c: reaction(lambda: frames(octets, c, 14 + len(octets))) for c in CARRIERS}
        same(v["name"], [f for f, _ in allowed.values() if f], [[v["frame"]]] * len(v["carriers"]))
        same(v["name"], sorted(c for c, (f, _) in allowed.items() if f), sorted(v["carriers"]))
    for v in json.loads((here / "datagrams.json").read_text()):
        same(v["name"], reaction(lambda: datagram(bytes.fromhex(v["hex"]))), (v["meaning"], None))
    for v in json.loads((here / "invalid.json").read_text()):
        octets = bytes.fromhex(v["hex"])
        if "carrier" in v:
            found = reaction(lambda: frames(octets, v["carrier"], 14 + len(octets)))
        else:
            found = reaction(lambda: datagram(octets))
        same(v["name"], found, (None, v["reaction"]))
    print(f"{count} checks hold")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        check_all()
    else:
        print(json.dumps(datagram(bytes.fromhex("".join(sys.argv[1:]))), indent=1))
