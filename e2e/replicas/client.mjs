// One session of a TypeScript SDK, under the control of a test.
//
// The environment variable CLIENT is a JSON object: sdk ("v1" or "v2"),
// transport ("http" or "sse"), url, and version, which says what v2 negotiates.
// Each line on standard input is a JSON object: token, which every request
// carries from then on, and call, the argument of the one tool; without call the
// session is opened. Each is answered with a line: result, version or error.
import { createInterface } from 'node:readline';

const input = JSON.parse(process.env.CLIENT);
const patience = 10_000; // for one answer, in milliseconds
let token = '';

async function load() {
  if (input.sdk === 'v2') return import('@modelcontextprotocol/client');
  return {
    ...await import('@modelcontextprotocol/sdk/client/index.js'),
    ...await import('@modelcontextprotocol/sdk/client/sse.js'),
    ...await import('@modelcontextprotocol/sdk/client/streamableHttp.js'),
  };
}

function options() {
  switch (input.version) {
    case '': return {};
    case '2026-07-28': return { versionNegotiation: { mode: { pin: input.version } } };
    default: return { supportedProtocolVersions: [input.version] };
  }
}

const sdk = await load();
const Transport = input.transport === 'sse' ? sdk.SSEClientTransport : sdk.StreamableHTTPClientTransport;
const transport = new Transport(new URL(input.url), {
  fetch: (url, init) => {
    const headers = new Headers(init?.headers);
    headers.set('Authorization', `Bearer ${token}`);
    headers.set('Connection', 'close'); // each request goes to another replica
    return fetch(url, { ...init, headers });
  },
});
const client = new sdk.Client({ name: 'replicas', version: '1.0.0' }, options());
client.onerror = () => {}; // a stream that ends is opened again by the SDK

async function obey(command) {
  token = command.token;
  if (!command.call) {
    await client.connect(transport);
    return { version: client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion ?? transport._protocolVersion };
  }
  const request = { name: 'echo', arguments: { call: command.call } };
  const limit = { timeout: patience };
  const result = input.sdk === 'v2' ? await client.callTool(request, limit) : await client.callTool(request, undefined, limit);
  return { result: result.structuredContent?.call };
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await obey(JSON.parse(line));
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}
process.exit(0);
