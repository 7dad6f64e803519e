/** Styles of the overlay: they live in its shadow tree, and the page's stay outside. */
export const STYLES = `
:host {
  all: initial;
  color-scheme: light dark;
  --surface: #fff;
  --sunken: #f5f4f1;
  --line: #e3e1dc;
  --text: #1d2125;
  --soft: #666e77;
  --accent: #b4651d;
  --good: #1f8a57;
  --warn: #a86a00;
  --bad: #c8372d;
  position: fixed;
  z-index: 2147483000;
  inset: auto 12px 12px auto;
  max-width: calc(100vw - 24px);
  font: 12px/1.45 system-ui, sans-serif;
  color: var(--text);
}
@media (prefers-color-scheme: dark) {
  :host {
    --surface: #171b20;
    --sunken: #101317;
    --line: #2b323a;
    --text: #e9ebed;
    --soft: #9ca5af;
    --accent: #f0a868;
    --good: #6fce9c;
    --warn: #e6b450;
    --bad: #ff8f85;
  }
}
* { box-sizing: border-box; margin: 0; padding: 0; }
section {
  display: flex;
  flex-direction: column;
  max-height: min(600px, calc(100vh - 24px));
  border: 1px solid var(--line);
  border-radius: 10px;
  background: var(--surface);
  box-shadow: 0 8px 28px rgb(0 0 0 / 18%);
  overflow: hidden;
}
section.open { width: 430px; max-width: 100%; }
button {
  display: flex;
  align-items: center;
  gap: 8px;
  width: 100%;
  padding: 9px 12px;
  border: 0;
  background: none;
  color: inherit;
  font: inherit;
  text-align: left;
  cursor: pointer;
}
button:hover { background: var(--sunken); }
button:focus-visible, .body:focus-visible {
  outline: 2px solid var(--accent);
  outline-offset: -2px;
}
/* Heard, not seen. */
.heard { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.dot { flex: none; width: 9px; height: 9px; border-radius: 50%; background: var(--soft); }
[data-state="connected"] .dot { background: var(--good); }
[data-state="connecting"] .dot { background: var(--warn); }
[data-state="disconnected"] .dot { background: var(--bad); }
@media (prefers-reduced-motion: no-preference) {
  [data-state="connecting"] .dot { animation: pulse 1.2s ease-in-out infinite; }
  @keyframes pulse { 50% { opacity: 0.3; } }
}
.name { font-weight: 650; }
.total { margin-left: auto; color: var(--soft); font-variant-numeric: tabular-nums; }
.chevron { flex: none; width: 10px; fill: none; stroke: var(--soft); stroke-width: 1.6; }
.open .chevron { transform: rotate(180deg); }
.body { overflow: auto; border-top: 1px solid var(--line); overscroll-behavior: contain; }
section:not(.open) .body { display: none; }
.facts { padding: 8px 12px; color: var(--soft); }
h2 {
  position: sticky;
  top: 0;
  padding: 5px 12px;
  border-block: 1px solid var(--line);
  background: var(--sunken);
  color: var(--soft);
  font-size: 11px;
  font-weight: 600;
}
ul { list-style: none; }
li { display: grid; gap: 2px 10px; padding: 6px 12px; }
li + li { border-top: 1px solid var(--line); }
code { font: 11px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.good { color: var(--good); }
.warn { color: var(--warn); }
.bad { color: var(--bad); }
.transports li { grid-template-columns: 84px 1fr; }
.channels li { grid-template-columns: 1fr 90px 52px; align-items: center; }
.channels .strong { font-weight: 600; overflow-wrap: anywhere; }
.channels .more { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: 0 11px; }
svg.spark { display: block; width: 90px; height: 20px; }
.spark path { fill: none; stroke: var(--accent); stroke-width: 1.4; stroke-linejoin: round; }
.spark .area { fill: var(--accent); stroke: none; opacity: 0.16; }
.happenings li { grid-template-columns: 52px 1fr; padding-block: 3px; border: 0; }
.happenings ul { padding-block: 3px; }
.none { padding: 8px 12px; color: var(--soft); }
`;
