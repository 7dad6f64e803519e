/** Metrics: writes `docs/reference/metrics.md` from the definitions. With `--check` it only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { METRICS } from '../packages/server/src/observe/metric-definitions.ts';
import type { MetricDefinition } from '../packages/server/src/observe/metric-definitions.ts';
import { report, ROOT } from './source.ts';

/** Where the page stands. */
export const METRICS_PAGE = 'docs/reference/metrics.md';

/** The page as it must be. */
export function metricsPage(): string {
  const definitions: readonly MetricDefinition[] = Object.values(METRICS);
  const rows = definitions.map(({ name, kind, labels = [], help }) => {
    const names = labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${kind} | ${names} | ${help} |`;
  });
  return `# Metrics

Generated from \`packages/server/src/observe/metric-definitions.ts\` by \`scripts/metrics.ts\`; a test
compares.

\`GET /metrics\` answers what one node counts, as text that Prometheus reads. It asks for an API key
as a bearer token, unless the server is in development mode or its configuration says
\`metrics: { open: true }\`:

\`\`\`yaml
scrape_configs:
  - job_name: trunkline
    authorization: { credentials: an-api-key }
    static_configs: [{ targets: ['node-1:8080', 'node-2:8080'] }]
\`\`\`

Numbers are those of the node since it started. No label holds a channel, a user or anything else that
a client chooses, so the number of series is bounded. Nothing is computed between two scrapes.

| metric | kind | labels | meaning |
|---|---|---|---|
${rows.join('\n')}

Beside them stand the facts of the process under the names that every dashboard for Node.js knows:
\`process_cpu_seconds_total\`, \`process_resident_memory_bytes\`, \`process_open_fds\`,
\`nodejs_heap_size_used_bytes\`, \`nodejs_gc_duration_seconds\` and others. The delay of the event loop
is \`nodejs_eventloop_lag_p99_seconds\` and its neighbours, over the time since the last scrape.

## What to alert on

Page somebody when clients are hurt now: \`trunkline_ready\` is 0 for longer than a deploy takes;
\`rate(trunkline_publishes_refused_total{code="unavailable"}[5m]) > 0\`, the log can't be written; or
the 99th percentile of \`trunkline_publish_seconds\` is above what your users notice. Look at it in the
morning when something wears out: \`nodejs_eventloop_lag_p99_seconds\` stays above 0.1, the node has
more to do than one core can; \`trunkline_log_operations_waiting\` grows from scrape to scrape, the disk
does not keep up; \`trunkline_connections\` or \`trunkline_mqtt_sessions_stored\` comes near to its configured limit;
\`process_resident_memory_bytes\` comes near to that of the machine. Ask the application's authors when
\`trunkline_resumes_total\` has many outcomes but \`recovered\`: \`trimmed\` means that history is shorter
than clients are away, \`epoch\` that a log was lost or purged. A rise of
\`trunkline_links_closed_total{code="slow"}\` or of \`trunkline_cursors_behind\` is clients on bad
networks; of \`trunkline_authentications_refused_total\`, a token that is not renewed, or somebody who
tries; of \`trunkline_mqtt_connections_ended_total{reason="session_taken_over"}\`, two devices with one
client identifier.
`;
}

if (import.meta.main) {
  const path = join(ROOT, METRICS_PAGE);
  if (process.argv.includes('--check')) {
    const same = readFileSync(path, 'utf8') === metricsPage();
    const fault = `${METRICS_PAGE} is not what the definitions say: run node scripts/metrics.ts`;
    report('metrics', same ? [] : [fault]);
  } else {
    writeFileSync(path, metricsPage());
  }
}
