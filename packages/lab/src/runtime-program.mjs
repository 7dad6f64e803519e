/**
 * What an application does, in plain JavaScript that every runtime runs as it is: it publishes 1,
 * reads on over a restart of the server, publishes 2, and ends by itself when it has read 3.
 *
 * Started with the URL of the built client, that of the server, and the name of a transport. It
 * tells what happens in lines of JSON.
 */
const [clientUrl, server, name] = process.argv.slice(2);
const { connect, [name]: transport } = await import(clientUrl);

const tell = (line) => console.log(JSON.stringify(line));
const line = connect(server, { transports: [transport] });
const room = line.channel('room/1');
let connectionCount = 0;

line.on('error', (error) => tell({ error: String(error) }));
line.on('state', ({ state }) => {
  if (state !== 'connected') return;
  connectionCount += 1;
  tell({ transport: line.transport });
  if (connectionCount > 1) void room.publish(2);
});
await new Promise((resolve) => {
  const end = room.subscribe({
    onOpen: ({ recovered }) => recovered === undefined && void room.publish(1),
    onMessage: ({ data }) => {
      tell({ message: data });
      if (data !== 3) return;
      end();
      resolve();
    },
  });
});
line.close();
tell({ state: line.state });
