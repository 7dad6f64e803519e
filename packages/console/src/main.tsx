/** The page's beginning: what the address and the browser tab remember, and what they are told. */
import { render } from 'preact';
import { App } from './app.tsx';
import { Desk } from './desk.ts';
import { parseFilters } from './filters.ts';
import { HttpVersions } from './http-versions.ts';
import { METRICS_CHANNEL, MetricsFeed } from './metrics.ts';

const TOKEN_KEY = 'trunkline.token';

const place = document.getElementById('page');
if (place !== null) {
  const versions = new HttpVersions();
  versions.watch();
  const desk = new Desk({
    server: location.origin,
    filters: filtersInAddress(),
    token: storedToken(),
    feed: new MetricsFeed(location.origin),
  });
  desk.changes.listen(() => {
    showFilters(desk.filters);
    storeToken(desk.token);
  });
  desk.start();
  render(<App desk={desk} versions={versions} />, place);
}

/** The address names what is followed, so that it can be passed on. */
function filtersInAddress(): readonly string[] {
  const named = new URLSearchParams(location.search).getAll('channel');
  const read = parseFilters(named.map((name) => name.replaceAll(',', '\\,')).join(','));
  return read.ok ? read.filters : [METRICS_CHANNEL];
}

function showFilters(filters: readonly string[]): void {
  const url = new URL(location.href);
  url.searchParams.delete('channel');
  for (const filter of filters) url.searchParams.append('channel', filter);
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
