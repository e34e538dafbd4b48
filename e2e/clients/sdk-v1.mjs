// The TypeScript SDK, generation 1. It speaks 2025-11-25 and accepts older
// answers; it cannot be told to ask for another revision.
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { main } from './walk.mjs';

await main({
  Client, SSEClientTransport, StreamableHTTPClientTransport, UnauthorizedError,
  finishAuth: (transport, answer) => transport.finishAuth(answer.get('code')),
  protocolVersion: (_client, transport) => transport.protocolVersion ?? transport._protocolVersion,
});
