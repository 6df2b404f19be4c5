// SPDX-License-Identifier: Apache-2.0
// A provider of OpenID Connect for stories: node-oidc-provider, with its own pages for logging in, where any login and password do.
// It prints its URL once it answers. What no honest provider does it does when it is told to, at `/control/`:
//
// POST /control/rotate           signs with a new key from now on, and publishes no other
// POST /control/twist {..}       alters each ID token that it gives out: `set` claims, `header`, `key`: current, stranger, none
// POST /control/sign {..}        a token with these `claims`, `header` and `key`, as an issuer for machines would give it out
// POST /control/job {..}         what a job of CI is given that asks for a token, as GitHub Actions has it: these `claims`
// GET /control/job?audience=..   such a token, for who shows `of-the-job`

import { createServer } from 'node:http';
import { generateKeyPair, exportJWK, importJWK, decodeJwt, SignJWT } from 'jose';
import Provider from 'oidc-provider';

const clients = JSON.parse(process.argv[2]).map((client) => ({ ...client, id_token_signed_response_alg: 'ES256' }));
const server = createServer((request, response) => answer(request, response));
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;

let serial = 0;
let twist = null;
let job = {};
let current;
let callback;
const stranger = await newKey();

async function newKey() {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  serial += 1;
  return { ...(await exportJWK(privateKey)), kid: `key-${serial}`, alg: 'ES256', use: 'sig' };
}

async function rotate() {
  current = await newKey();
  const provider = new Provider(issuer, {
    clients,
    jwks: { keys: [current] },
    cookies: { keys: ['of stories'] },
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'] },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `${id} of the story`, preferred_username: id }),
    }),
  });
  provider.use(async (context, next) => {
    await next();
    if (twist && context.path === '/token' && context.body?.id_token) {
      const claims = { ...decodeJwt(context.body.id_token), ...twist.set };
      context.body = { ...context.body, id_token: await sign({ ...twist, claims }) };
    }
  });
  callback = provider.callback();
}

async function sign({ claims, header, key }) {
  if (key === 'none') {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    return `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`;
  }
  const chosen = key === 'stranger' ? { ...stranger, kid: current.kid } : current;
  const signing = new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: chosen.kid, ...header });
  return signing.sign(await importJWK(chosen, 'ES256'));
}

async function answer(request, response) {
  const url = new URL(request.url, issuer);
  if (request.method === 'GET' && url.pathname === '/control/job') {
    const isJob = request.headers.authorization === 'Bearer of-the-job';
    response.statusCode = isJob ? 200 : 401;
    const claims = { ...job.claims, aud: url.searchParams.get('audience') };
    return response.end(isJob ? JSON.stringify({ count: 1, value: await sign({ claims }) }) : '');
  }
  if (request.method !== 'POST' || !request.url.startsWith('/control/')) {
    return callback(request, response);
  }
  const pieces = await request.toArray();
  const told = JSON.parse(Buffer.concat(pieces).toString() || 'null');
  let said = '';
  if (request.url === '/control/rotate') await rotate();
  if (request.url === '/control/twist') twist = told;
  if (request.url === '/control/job') job = told;
  if (request.url === '/control/sign') said = await sign(told);
  response.end(said);
}

await rotate();
console.log(issuer);
// Nobody reads more.
console.log = console.info = () => {};
