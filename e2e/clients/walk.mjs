// One walk for every generation of the TypeScript SDK. Each script hands in its
// SDK's own classes; what an OAuth client does is the SDK's business, not ours.
//
// The input is one JSON object in the environment variable WALK:
//
//   url        the MCP endpoint
//   transport  "http" or "sse"
//   mode       "walk": no token, sign in, list, call
//              "refresh": the same, then the access token is replaced by
//              badToken: the SDK must refresh and repeat the call by itself
//              "step-up": the same as walk, but the tool asks for more than the
//              token has: sign in again as the SDK wants it, and call again
//              "dpop": sign in with a DPoP key (RFC 9449), where the SDK can,
//              and list: a bound token is not forwarded, so nothing is called
//              "token": no OAuth, badToken (or a good one) as a fixed header
//   badToken   an access token
//   tool       which tool to call; otus_teams without it
//   version    which protocol revision to speak, where the SDK lets one choose
//
// The output is one JSON object on standard output: protocolVersion, tools,
// result, requests (method, path, status and revision of everything that was
// sent), tokens (to look for in logs), and error instead if it failed.

import { follow } from './browser.mjs';

const redirectURI = 'http://127.0.0.1:8976/callback'; // nobody listens there; the redirect is read, not followed

// MemoryProvider is what an application has to bring: a place for what the SDK
// wants kept, and a way to a browser.
class MemoryProvider {
  constructor() {
    this.saved = {};
    this.seen = new Set();
  }
  get redirectUrl() { return redirectURI; }
  get clientMetadata() {
    return {
      client_name: 'end-to-end walk',
      redirect_uris: [redirectURI],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }
  state() { return this.saved.state ??= crypto.randomUUID(); }
  clientInformation() { return this.saved.client; }
  saveClientInformation(client) { this.saved.client = client; }
  tokens() { return this.saved.tokens; }
  saveTokens(tokens) {
    this.saved.tokens = tokens;
    for (const name of ['access_token', 'refresh_token', 'id_token']) {
      if (tokens[name]) this.seen.add(tokens[name]);
    }
  }
  saveCodeVerifier(verifier) { this.saved.verifier = verifier; this.seen.add(verifier); }
  codeVerifier() { return this.saved.verifier; }
  saveDiscoveryState(state) { this.saved.discovery = state; }
  discoveryState() { return this.saved.discovery; }
  async redirectToAuthorization(url) {
    const callback = await follow(url, redirectURI);
    if (callback.searchParams.get('state') !== this.saved.state) {
      throw new Error('the authorization response has another state');
    }
    this.answer = callback.searchParams;
    this.seen.add(this.answer.get('code') ?? '');
  }
}

// recorded is fetch with a memory.
function recorded(requests) {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : {}));
    const entry = {
      method: init?.method ?? (input instanceof Request ? input.method : 'GET'),
      path: url.pathname,
      revision: headers.get('mcp-protocol-version') ?? '',
    };
    requests.push(entry);
    const response = await fetch(input, init);
    entry.status = response.status;
    return response;
  };
}

async function session(sdk, input, provider, requests) {
  const open = () => {
    const Transport = input.transport === 'sse' ? sdk.SSEClientTransport : sdk.StreamableHTTPClientTransport;
    const options = { fetch: recorded(requests) };
    if (provider) {
      options.authProvider = provider;
    } else {
      options.requestInit = { headers: { Authorization: `Bearer ${input.badToken}` } };
    }
    return new Transport(new URL(input.url), options);
  };
  const client = () => new sdk.Client({ name: 'end-to-end walk', version: '1.0.0' }, sdk.clientOptions?.(input));
  let transport = open();
  let connected = client();
  try {
    await connected.connect(transport);
  } catch (error) {
    if (!(error instanceof sdk.UnauthorizedError) || !provider?.answer) throw error;
    await sdk.finishAuth(transport, provider.answer);
    transport = open();
    connected = client();
    await connected.connect(transport);
  }
  return { client: connected, transport };
}

async function walk(sdk, input) {
  const requests = [];
  const provider = input.mode === 'token' ? undefined : new MemoryProvider();
  const output = { requests };
  if (input.mode === 'dpop') {
    const proofs = sdk.DpopSession.create();
    provider.dpop = () => proofs;
  }
  try {
    const { client, transport } = await session(sdk, input, provider, requests);
    output.protocolVersion = sdk.protocolVersion(client, transport, requests);
    output.serverInfo = client.getServerVersion();
    output.tools = (await client.listTools()).tools;
    if (input.mode === 'refresh') {
      provider.saved.tokens = { ...provider.saved.tokens, access_token: input.badToken };
    }
    const call = async () => input.mode === 'dpop' ? undefined : client.callTool({ name: input.tool ?? 'otus_teams', arguments: {} });
    try {
      output.result = await call();
    } catch (error) {
      if (input.mode !== 'step-up' || !(error instanceof sdk.UnauthorizedError)) throw error;
      output.scopeBefore = provider.saved.tokens.scope;
      await sdk.finishAuth(transport, provider.answer);
      output.result = await call();
    }
    output.granted = provider && { scope: provider.saved.tokens.scope, type: provider.saved.tokens.token_type, refresh: Boolean(provider.saved.tokens.refresh_token) };
    await client.close();
  } catch (error) {
    output.error = { name: error.name, message: String(error.message), code: error.code };
  }
  output.tokens = provider ? [...provider.seen] : [];
  return output;
}

export async function main(sdk) {
  const output = await walk(sdk, JSON.parse(process.env.WALK));
  process.stdout.write(JSON.stringify(output), () => process.exit(0));
}
