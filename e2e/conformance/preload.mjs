// Preload of the conformance suite, which has no option for a bearer token:
// adds one to every request to the server under test, on each of the three ways
// the suite sends them. A request that has an Authorization header keeps it.
//
// CONFORMANCE_ORIGIN is the server's origin, CONFORMANCE_TOKEN the token;
// without a token nothing is changed.
import http from 'node:http';
import https from 'node:https';
import { createRequire, syncBuiltinESMExports } from 'node:module';

const { CONFORMANCE_ORIGIN: origin, CONFORMANCE_TOKEN: token } = process.env;
const authorization = `Bearer ${token}`;

if (token) {
  guardFetch();
  guardUndici();
  guardNodeHTTP(http, 'http:');
  guardNodeHTTP(https, 'https:');
  syncBuiltinESMExports();
}

// The SDK's transports. A Request brings headers of its own, which init's
// replace altogether.
function guardFetch() {
  const original = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    const isRequest = input instanceof Request;
    if (new URL(isRequest ? input.url : input).origin !== origin) return original(input, init);
    const headers = new Headers(init?.headers ?? (isRequest ? input.headers : undefined));
    if (!headers.has('authorization')) headers.set('authorization', authorization);
    return original(input, { ...init, headers });
  };
}

// The dns-rebinding scenario: undici's own request, because fetch does not let
// anybody choose a Host header. The suite has its own copy of undici, found from
// the script that is about to run.
function guardUndici() {
  const { getGlobalDispatcher, setGlobalDispatcher } = createRequire(process.argv[1])('undici');
  setGlobalDispatcher(getGlobalDispatcher().compose((dispatch) => (options, handler) => {
    if (String(options.origin) !== origin) return dispatch(options, handler);
    return dispatch({ ...options, headers: withAuthorization(options.headers) }, handler);
  }));
}

// undici takes headers as a flat list of names and values, as pairs or as an
// object.
function withAuthorization(headers) {
  if (Array.isArray(headers)) {
    const names = Array.isArray(headers[0]) ? headers.map(([name]) => name) : headers.filter((_, i) => i % 2 === 0);
    if (names.some(isAuthorization)) return headers;
    return Array.isArray(headers[0]) ? [...headers, ['authorization', authorization]] : [...headers, 'authorization', authorization];
  }
  const pairs = typeof headers?.[Symbol.iterator] === 'function' ? [...headers] : Object.entries(headers ?? {});
  return pairs.some(([name]) => isAuthorization(name)) ? headers : Object.fromEntries([...pairs, ['authorization', authorization]]);
}

function isAuthorization(name) {
  return String(name).toLowerCase() === 'authorization';
}

// The header scenarios, which send what fetch would correct. Nothing has been
// written when request returns; only a list of raw headers is final by then.
function guardNodeHTTP(module, protocol) {
  const original = module.request;
  const server = new URL(origin);
  module.request = (...args) => {
    const request = original(...args);
    const ours = protocol === server.protocol && [server.hostname, '127.0.0.1'].includes(request.host);
    if (ours && !request.headersSent && !request.hasHeader('authorization')) request.setHeader('authorization', authorization);
    return request;
  };
  module.get = (...args) => {
    const request = module.request(...args);
    request.end();
    return request;
  };
}
