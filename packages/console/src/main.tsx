/** The page's beginning: what the address and the browser tab remember, and what they are told. */
import { render } from 'preact';
import { App } from './app.tsx';
import { Desk } from './desk.ts';
import { METRICS_CHANNEL, MetricsFeed } from './metrics.ts';

const TOKEN_KEY = 'trunkline.token';

const place = document.getElementById('page');
if (place !== null) {
  const desk = new Desk({
    server: location.origin,
    channel: new URLSearchParams(location.search).get('channel') ?? METRICS_CHANNEL,
    token: storedToken(),
    feed: new MetricsFeed(location.origin),
  });
  desk.changes.listen(() => {
    showChannel(desk.channel);
    storeToken(desk.token);
  });
  desk.start();
  render(<App desk={desk} />, place);
}

/** The address names the channel, so that it can be passed on. */
function showChannel(channel: string): void {
  const url = new URL(location.href);
  url.searchParams.set('channel', channel);
  history.replaceState(null, '', url);
}

// A page may be refused any storage; the token then lives as long as the page.
function storedToken(): string | undefined {
  try {
    return sessionStorage.getItem(TOKEN_KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

function storeToken(token: string | undefined): void {
  try {
    if (token === undefined) sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  } catch {
    // See above.
  }
}
