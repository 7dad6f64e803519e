"""A WebSocket client of another make: Debian's python3-websockets, which compresses by default.

Usage: python-client.py URL CHANNEL COUNT. Subscribes, says so, prints COUNT messages as they come,
one JSON object a line, and publishes a message of its own at the end.
"""
import asyncio
import json
import sys

import websockets


async def main(url, channel, count):
    async with websockets.connect(url, subprotocols=["trunkline.v1.json"]) as socket:
        print(json.dumps({"extensions": [str(one) for one in socket.extensions]}), flush=True)
        await socket.send(json.dumps({"type": "subscribe", "id": 1, "channel": channel}))
        seen = 0
        while seen < count:
            for line in (await socket.recv()).split("\n"):
                fields = json.loads(line)
                if fields["type"] == "subscribed":
                    print(json.dumps({"subscribed": True}), flush=True)
                if fields["type"] == "message":
                    print(json.dumps({"offset": fields["offset"], "data": fields["data"]}), flush=True)
                    seen += 1
        answer = "thanks, " * 500
        command = {"type": "publish", "id": 2, "channel": channel + "/answers", "data": answer}
        await socket.send(json.dumps(command))
        while json.loads(await socket.recv())["type"] != "published":
            pass


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
