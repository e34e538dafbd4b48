// A browser for machines: it follows an authorization URL, keeps cookies and
// stops where the redirect leaves for the client. The authorization server must
// sign in and consent without a page.

const maxHops = 10;

// follow returns the URL that the authorization server sends the browser to,
// which is the first one that begins with redirectURI.
export async function follow(authorizationURL, redirectURI) {
  const jar = new Map();
  let url = new URL(authorizationURL);
  for (let hop = 0; hop < maxHops; hop++) {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: jar.size ? { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') } : {},
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair] = cookie.split(';');
      const at = pair.indexOf('=');
      jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const location = response.headers.get('location');
    if (!location) {
      throw new Error(`authorization stopped at ${url.pathname} with status ${response.status}: ${await response.text()}`);
    }
    url = new URL(location, url);
    if (url.href.startsWith(redirectURI)) {
      return url;
    }
  }
  throw new Error(`authorization did not return to ${redirectURI} within ${maxHops} redirects`);
}

// Run as a command, it is what $BROWSER names: it follows the URL and then
// visits the client's own callback.
if (process.argv[1] === import.meta.filename) {
  const url = new URL(process.argv[2]);
  const callback = await follow(url, url.searchParams.get('redirect_uri'));
  const answer = await fetch(callback);
  if (!answer.ok) {
    throw new Error(`the client's callback answered ${answer.status}`);
  }
}
