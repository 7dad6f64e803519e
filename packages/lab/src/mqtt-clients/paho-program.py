"""A client of MQTT with Eclipse Paho (Debian: python3-paho-mqtt, 1.6).

Its argument says in JSON what to do (programs.ts): it publishes and ends, or reads until its input
ends and prints what comes, a line of JSON for each message.
"""
import json
import os
import sys
from urllib.parse import urlparse

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

task = json.loads(sys.argv[1])
connecting = task["connecting"]
filters = task.get("filters")
publications = task.get("publications")
version = connecting["version"]
expiry = connecting.get("expirySeconds")
NAMES = {
    "contentType": "ContentType",
    "responseTopic": "ResponseTopic",
    "messageExpiryInterval": "MessageExpiryInterval",
}


def tell(**told):
    print(json.dumps(told), flush=True)


def give_up(why):
    print(why, file=sys.stderr, flush=True)
    os._exit(1)


def to_properties(packet, told):
    if version != 5:
        return None
    properties = Properties(packet)
    for name, theirs in NAMES.items():
        if name in told:
            setattr(properties, theirs, told[name])
    if "correlationData" in told:
        properties.CorrelationData = told["correlationData"].encode()
    for pair in told.get("userProperties", []):
        properties.UserProperty = tuple(pair)
    return properties


def from_properties(properties):
    told = {}
    for name, theirs in NAMES.items():
        if hasattr(properties, theirs):
            told[name] = getattr(properties, theirs)
    if hasattr(properties, "CorrelationData"):
        told["correlationData"] = properties.CorrelationData.decode()
    if hasattr(properties, "UserProperty"):
        told["userProperties"] = [list(pair) for pair in properties.UserProperty]
    return told


def on_connect(client, userdata, flags, reason, properties=None):
    if reason != 0:
        give_up(f"refused: {reason}" if version == 5 else f"refused: {mqtt.connack_string(reason)}")
    if filters is not None:
        client.subscribe([(name, qos) for name, qos in filters.items()] if version == 4 else
                         [(name, mqtt.SubscribeOptions(qos)) for name, qos in filters.items()])
        return
    for one in publications:
        client.publish(
            one["topic"],
            bytes.fromhex(one["payload"]),
            qos=one.get("qos", 1),
            retain=one.get("retain", False),
            properties=to_properties(PacketTypes.PUBLISH, one.get("properties", {})),
        )


acknowledged = 0


def on_publish(client, userdata, mid):
    global acknowledged
    acknowledged += 1
    if acknowledged == len(publications):
        client.disconnect()


def on_subscribe(client, userdata, mid, granted, properties=None):
    codes = [int(str(code.value if hasattr(code, "value") else code)) for code in granted]
    if any(code >= 128 for code in codes):
        give_up(f"refused to subscribe: {codes}")
    tell(subscribed=True)


def on_message(client, userdata, message):
    tell(
        message={
            "topic": message.topic,
            "payload": message.payload.hex(),
            "qos": message.qos,
            "retain": bool(message.retain),
            "properties": from_properties(getattr(message, "properties", None)),
        }
    )


def on_disconnect(client, userdata, reason, properties=None):
    if reason != 0:
        give_up(f"disconnected: {reason}")


client = mqtt.Client(
    client_id=connecting.get("clientId", ""),
    protocol=mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311,
    reconnect_on_failure=False,
    **({} if version == 5 else {"clean_session": expiry is None}),
)
client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_message = on_message
client.on_disconnect = on_disconnect
if publications is not None:
    client.on_publish = on_publish
if "user" in connecting or "password" in connecting:
    client.username_pw_set(connecting.get("user", ""), connecting.get("password"))
if "ca" in connecting:
    client.tls_set(connecting["ca"], connecting.get("cert"), connecting.get("key"))
if "will" in connecting:
    will = connecting["will"]
    client.will_set(
        will["topic"], bytes.fromhex(will["payload"]), will.get("qos", 1), will.get("retain", False)
    )

options = {}
if version == 5:
    properties = Properties(PacketTypes.CONNECT)
    if expiry is not None:
        properties.SessionExpiryInterval = expiry
    options = {"clean_start": expiry is None, "properties": properties}
url = urlparse(connecting["url"])
client.connect(url.hostname, url.port, **options)

if publications is not None:
    client.loop_forever()
else:
    client.loop_start()
    sys.stdin.read()
    client.disconnect()
    client.loop_stop()
