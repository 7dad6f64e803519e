"""A WebSocket over HTTP/2 (RFC 8441) by a client that shares no code with the server.

Usage: http2_websocket.py HOST PORT PATH [CA_FILE]

Frames by h2, messages by wsproto. Sends what it reads from standard input, one message a line, and
writes what comes back, one message a line; then closes. With CA_FILE over TLS. The first line that
it writes is the status of the handshake.
"""
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events
import h2.settings
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import CloseConnection, Message, TextMessage

TIMEOUT_SECONDS = 20


def dial(host, port, ca_file):
    plain = socket.create_connection((host, port), timeout=TIMEOUT_SECONDS)
    plain.settimeout(TIMEOUT_SECONDS)
    if ca_file is None:
        return plain
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["h2"])
    secured = context.wrap_socket(plain, server_hostname=host)
    assert secured.selected_alpn_protocol() == "h2", secured.selected_alpn_protocol()
    return secured


class Client:
    """One session with one stream."""

    def __init__(self, sock):
        self.sock = sock
        self.unseen = []
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def events(self):
        """What came since, what was passed over while sending included."""
        unseen, self.unseen = self.unseen, []
        return unseen or self.receive()

    def receive(self):
        data = self.sock.recv(65536)
        if not data:
            raise SystemExit("the server closed the connection")
        events = self.h2.receive_data(data)
        for event in events:
            if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length > 0:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()
        return events

    def await_settings(self):
        while True:
            for event in self.events():
                if isinstance(event, h2.events.RemoteSettingsChanged):
                    setting = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
                    assert self.h2.remote_settings.get(setting) == 1, "CONNECT is not allowed"
                    return

    def connect(self, authority, path, scheme):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(
            stream,
            [
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", scheme),
                (":authority", authority),
                (":path", path),
                ("sec-websocket-version", "13"),
            ],
        )
        self.flush()
        while True:
            for event in self.events():
                if isinstance(event, h2.events.ResponseReceived):
                    return stream, dict(event.headers)[":status"]

    def send(self, stream, data):
        while data:
            size = min(
                len(data),
                self.h2.local_flow_control_window(stream),
                self.h2.max_outbound_frame_size,
            )
            if size == 0:
                self.unseen += self.receive()
                continue
            self.h2.send_data(stream, data[:size])
            self.flush()
            data = data[size:]


def main():
    host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    ca_file = sys.argv[4] if len(sys.argv) > 4 else None
    client = Client(dial(host, port, ca_file))
    client.await_settings()
    scheme = "http" if ca_file is None else "https"
    stream, status = client.connect(f"{host}:{port}", path, scheme)
    print(status, flush=True)
    if status != "200":
        return
    websocket = Connection(ConnectionType.CLIENT)
    lines = sys.stdin.read().splitlines()
    for line in lines:
        client.send(stream, websocket.send(Message(data=line)))
    received = 0
    text = ""
    ended = False
    while not ended:
        for event in client.events():
            if isinstance(event, h2.events.DataReceived):
                websocket.receive_data(event.data)
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                ended = True
        for event in websocket.events():
            if isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    print(text, flush=True)
                    text = ""
                    received += 1
                    if received == len(lines):
                        client.send(stream, websocket.send(CloseConnection(code=1000)))
            elif isinstance(event, CloseConnection):
                print(f"closed {event.code}", flush=True)
                if not ended:
                    client.h2.end_stream(stream)
                    client.flush()
                    ended = True


main()
