// The TypeScript SDK, generation 2. It negotiates 2026-07-28 when asked to, and
// any older revision when that is the only one it is told to support.
import { Client, DpopSession, SSEClientTransport, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { main } from './walk.mjs';

await main({
  Client, DpopSession, SSEClientTransport, StreamableHTTPClientTransport, UnauthorizedError,
  clientOptions: ({ version }) => {
    switch (version) {
      case undefined:
      case '':
        return {};
      case 'auto':
        return { versionNegotiation: { mode: 'auto' } };
      case '2026-07-28':
        return { versionNegotiation: { mode: { pin: version } } };
      default:
        return { supportedProtocolVersions: [version] };
    }
  },
  finishAuth: (transport, answer) => transport.finishAuth(answer),
  protocolVersion: (client) => client.getNegotiatedProtocolVersion(),
});
