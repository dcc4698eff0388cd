// A real OpenID Connect provider for tests: npm package oidc-provider, on a free port of this machine.
//
// node openid_provider.mjs NPM_FOLDER REDIRECT_URI — prints its issuer as the first line. Whoever signs in is whom the
// login form names; what is vouched for follows from the name (see `account`). `POST /test/rotate` changes the keys
// that tokens are signed with, `POST /test/lie?about=WHAT` makes it hand out wrong tokens from then on.
// Ends when its standard input does, so that no test leaves it behind.

import { createHmac, createSign, generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const [folder, redirectUri] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`));

const CLIENT = { id: 'keystile', secret: 'a secret that nobody may see: %&+/=' };

let keys;
let provider;
let lie = '';

function newKeys() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { privateKey, jwk: { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' } };
}

// `unverified.ada@…` has no verified address, `silent.ada@…` none at all, `mute.ada@…` one of which nothing is said.
function account(login) {
  const [, kind, email] = /^(?:(unverified|silent|mute)\.)?(.*)$/.exec(login);
  const claims = { sub: `subject of ${login}`, name: 'Ada Lovelace' };
  if (kind !== 'silent') claims.email = email;
  if (kind === undefined) claims.email_verified = true;
  if (kind === 'unverified') claims.email_verified = false;
  return { accountId: login, claims: () => claims };
}

const encoded = (json) => Buffer.from(JSON.stringify(json)).toString('base64url');
const decoded = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());

function signed(header, claims, key) {
  const content = `${encoded(header)}.${encoded(claims)}`;
  return `${content}.${createSign('RSA-SHA256').update(content).sign(key).toString('base64url')}`;
}

// The token with something wrong about it, and nothing else.
function falsified(token) {
  const [header, claims] = token.split('.').slice(0, 2).map(decoded);
  const again = (change, key = keys.privateKey) => signed(header, { ...claims, ...change }, key);
  const hour = 3600;
  switch (lie) {
    case 'nothing': return again({});
    // No lie: some providers say in the token what others say at their userinfo endpoint.
    case 'claims': return again({ email: 'ada@example.com', email_verified: true });
    case 'person': return token;
    case 'key': return again({}, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey);
    case 'signature': return `${token.slice(0, -8)}AAAAAAAA`;
    case 'none': return `${encoded({ ...header, alg: 'none' })}.${encoded(claims)}.`;
    case 'shared-secret': {
      const content = `${encoded({ ...header, alg: 'HS256' })}.${encoded(claims)}`;
      return `${content}.${createHmac('sha256', CLIENT.secret).update(content).digest('base64url')}`;
    }
    case 'issuer': return again({ iss: 'https://id.example.com' });
    case 'audience': return again({ aud: 'another' });
    case 'audiences': return again({ aud: ['another', CLIENT.id] });
    case 'party': return again({ azp: 'another' });
    case 'nonce': return again({ nonce: 'another' });
    case 'no-nonce': return again({ nonce: undefined });
    case 'expired': return again({ iat: claims.iat - 2 * hour, exp: claims.iat - hour });
    case 'access-token': return again({ at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' });
    default: throw new Error(`no lie about ${lie}`);
  }
}

function start(issuer) {
  keys = newKeys();
  provider = new Provider(issuer, {
    clients: [{ client_id: CLIENT.id, client_secret: CLIENT.secret, redirect_uris: [redirectUri], grant_types: ['authorization_code'], response_types: ['code'] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    cookies: { keys: [randomUUID()] },
    findAccount: (_, login) => account(login),
    jwks: { keys: [keys.jwk] },
    pkce: { methods: ['S256'], required: () => true },
    subjectTypes: ['public'],
  });
  provider.use(async (context, next) => {
    await next();
    if (lie === 'person' && context.path === '/me') context.body.sub = 'another';
    if (lie && context.path === '/token' && context.body?.id_token) {
      if (lie === 'no-token') delete context.body.id_token;
      else context.body.id_token = falsified(context.body.id_token);
    }
  });
}

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://test');
  if (pathname === '/test/rotate') {
    start(provider.issuer);
    response.end();
  } else if (pathname === '/test/lie') {
    lie = searchParams.get('about');
    response.end();
  } else {
    provider.callback()(request, response);
  }
});
server.listen(0, '127.0.0.1', () => {
  start(`http://127.0.0.1:${server.address().port}`);
  console.log(provider.issuer);
});
process.stdin.resume().on('end', () => process.exit(0));
