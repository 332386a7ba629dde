// The journeys of an app's users through sign-in, with codes and links that come
// by mail and text message: to the dev inbox. It needs MADBASE_URL, ANON_KEY and
// SERVICE_KEY, and a madbase that confirms addresses (GOTRUE_MAILER_AUTOCONFIRM=false)
// and lets in phone numbers and anonymous users.
import assert from 'node:assert/strict'
import { createHmac, randomInt, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from '@supabase/supabase-js'

const { MADBASE_URL: url, ANON_KEY: anonKey, SERVICE_KEY: serviceKey } = process.env
const client = (key, auth) => createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false, ...auth } }).auth
const app = (settings) => client(anonKey, settings)
const admin = client(serviceKey).admin
const newEmail = () => `${randomUUID()}@example.com`
const password = 'correct horse battery'
const home = 'http://localhost:5173/welcome'

// ok returns an answer's data, and fails with the answer's error.
async function ok(answer) {
  const { data, error } = await answer
  assert.equal(error, null, JSON.stringify(error))
  return data
}

async function refused(answer, code) {
  assert.equal((await answer).error?.code, code)
}

// message waits for what came to an address or number, and returns its code and link.
async function message(to, kind) {
  for (const end = Date.now() + 20_000; ; await pause(20)) {
    const inbox = await (await fetch(`${url}/platform/v1/inbox.json?limit=100`)).json()
    const found = inbox.find((m) => m.to === to && m.kind === kind)
    if (found) return found
    assert.ok(Date.now() < end, `no ${kind} to ${to} among ${JSON.stringify(inbox.map((m) => [m.kind, m.to]))}`)
  }
}

// opened is where the browser lands that opens a mail's link. Links name the public
// URL, which does not know a port that was chosen at the start.
async function opened(link) {
  const { pathname, search } = new URL(link)
  const answer = await fetch(url + pathname + search, { redirect: 'manual' })
  assert.equal(answer.status, 303)
  const to = new URL(answer.headers.get('location'))
  assert.equal(to.origin + to.pathname, home)
  return { query: to.searchParams, fragment: new URLSearchParams(to.hash.slice(1)) }
}

// member is somebody new, signed in with a confirmed address.
async function member() {
  const email = newEmail()
  const { user } = await ok(admin.createUser({ email, password, email_confirm: true }))
  return { id: user.id, email, auth: await signedIn(email) }
}

async function signedIn(email, word = password) {
  const auth = app()
  await ok(auth.signInWithPassword({ email, password: word }))
  return auth
}

// totp is what an authenticator app shows now (RFC 6238).
function totp(secret) {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)))
  const mac = createHmac('sha1', key).update(counter).digest()
  return String((mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

test('sign up, and confirm by the code or the link', async () => {
  const auth = app()
  const email = newEmail()
  const made = await ok(auth.signUp({ email, password }))
  assert.equal(made.session, null)
  await refused(app().signInWithPassword({ email, password }), 'email_not_confirmed')
  const { code } = await message(email, 'confirmation')
  await refused(auth.verifyOtp({ email, token: code === '000000' ? '000001' : '000000', type: 'email' }), 'otp_expired')
  const { session } = await ok(auth.verifyOtp({ email, token: code, type: 'email' }))
  assert.equal(session.user.id, made.user.id)
  await signedIn(email)

  const other = newEmail()
  await ok(app().signUp({ email: other, password, options: { emailRedirectTo: home } }))
  const { fragment } = await opened((await message(other, 'confirmation')).link)
  const tokens = { access_token: fragment.get('access_token'), refresh_token: fragment.get('refresh_token') }
  assert.equal((await ok(app().setSession(tokens))).user.email, other)
  assert.equal((await opened((await message(other, 'confirmation')).link)).fragment.get('error_code'), 'otp_expired')
})

test('sign in by a magic link, with PKCE, and by its code', async () => {
  const email = newEmail()
  const auth = app({ flowType: 'pkce', persistSession: true, storage: memory() })
  await ok(admin.createUser({ email, email_confirm: true }))
  await ok(auth.signInWithOtp({ email, options: { emailRedirectTo: home, shouldCreateUser: false } }))
  const { query } = await opened((await message(email, 'magic_link')).link)
  const { session } = await ok(auth.exchangeCodeForSession(query.get('code')))
  assert.equal(session.user.email, email)

  const fresh = newEmail()
  await refused(app().signInWithOtp({ email: fresh, options: { shouldCreateUser: false } }), 'otp_disabled')
  await ok(app().signInWithOtp({ email: fresh }))
  const { code } = await message(fresh, 'confirmation')
  assert.equal((await ok(app().verifyOtp({ email: fresh, token: code, type: 'email' }))).user.email, fresh)
})

// memory keeps what a browser would keep between two pages.
function memory() {
  const kept = new Map()
  return { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => void kept.set(k, v), removeItem: (k) => void kept.delete(k) }
}

test('recover, and set a new password', async () => {
  const { email } = await member()
  const auth = app()
  await ok(auth.resetPasswordForEmail(email))
  await ok(auth.verifyOtp({ email, token: (await message(email, 'recovery')).code, type: 'recovery' }))
  await ok(auth.updateUser({ password: 'a new password' }))
  await refused(app().signInWithPassword({ email, password }), 'invalid_credentials')
  await signedIn(email, 'a new password')
})

test('change the address, by both of them', async () => {
  const { id, email, auth } = await member()
  const next = newEmail()
  assert.equal((await ok(auth.updateUser({ email: next }))).user.new_email, next)
  const first = await ok(app().verifyOtp({ email, token: (await message(email, 'email_change')).code, type: 'email_change' }))
  assert.equal(first.session, null)
  const second = await ok(app().verifyOtp({ email: next, token: (await message(next, 'email_change')).code, type: 'email_change' }))
  assert.deepEqual([second.user.id, second.user.email], [id, next])
  await signedIn(next)
})

test('begin anonymously, and stay', async () => {
  const auth = app()
  const { user } = await ok(auth.signInAnonymously())
  assert.equal(user.is_anonymous, true)
  const email = newEmail()
  await ok(auth.updateUser({ email }))
  const { code } = await message(email, 'email_change')
  const stays = await ok(auth.verifyOtp({ email, token: code, type: 'email_change' }))
  assert.deepEqual([stays.user.id, stays.user.is_anonymous, stays.user.email], [user.id, false, email])
  await ok(auth.updateUser({ password }))
  await signedIn(email)
})

test('prove a second factor', async () => {
  const { email, auth } = await member()
  const factor = await ok(auth.mfa.enroll({ factorType: 'totp', friendlyName: 'phone' }))
  assert.ok(factor.totp.qr_code.startsWith('data:image/svg+xml') && factor.totp.uri.startsWith('otpauth://totp/'))
  const levels = async (of) => {
    const { currentLevel, nextLevel } = await ok(of.mfa.getAuthenticatorAssuranceLevel())
    return [currentLevel, nextLevel]
  }
  assert.deepEqual(await levels(auth), ['aal1', 'aal1'])
  await ok(auth.mfa.challengeAndVerify({ factorId: factor.id, code: totp(factor.totp.secret) }))
  assert.deepEqual(await levels(auth), ['aal2', 'aal2'])
  const again = await signedIn(email)
  assert.deepEqual(await levels(again), ['aal1', 'aal2'])
  await refused(again.updateUser({ password: 'a new password' }), 'insufficient_aal')
  assert.deepEqual((await ok(auth.mfa.listFactors())).totp.map((f) => f.friendly_name), ['phone'])
  await ok(auth.mfa.unenroll({ factorId: factor.id }))
})

test('sign in by phone', async () => {
  const auth = app()
  const phone = `+4915${randomInt(1e8, 1e9)}`
  await ok(auth.signInWithOtp({ phone }))
  const { user } = await ok(auth.verifyOtp({ phone, token: (await message(phone, 'sms')).code, type: 'sms' }))
  assert.equal(`+${user.phone}`, phone)
})

test('admin: links without a mail, and invitations', async () => {
  const { email } = await member()
  const { properties } = await ok(admin.generateLink({ type: 'magiclink', email, options: { redirectTo: home } }))
  assert.equal((await ok(app().verifyOtp({ token_hash: properties.hashed_token, type: 'magiclink' }))).user.email, email)
  const { properties: recovery } = await ok(admin.generateLink({ type: 'recovery', email, options: { redirectTo: home } }))
  assert.equal((await opened(recovery.action_link)).fragment.get('type'), 'recovery')

  const guest = newEmail()
  await ok(admin.inviteUserByEmail(guest, { data: { team: 'green' } }))
  const auth = app()
  const { user } = await ok(auth.verifyOtp({ email: guest, token: (await message(guest, 'invite')).code, type: 'invite' }))
  assert.equal(user.user_metadata.team, 'green')
  await ok(auth.updateUser({ password }))
  await signedIn(guest)
})

test('see sessions, and end some, one and all', async () => {
  const { email, auth: first } = await member()
  const [second, third] = [await signedIn(email), await signedIn(email)]
  const call = async (auth, method, path = '') => {
    const { session } = (await auth.getSession()).data
    return fetch(`${url}/auth/v1/user/sessions${path}`, { method, headers: { apikey: anonKey, authorization: `Bearer ${session.access_token}` } })
  }
  const { sessions } = await (await call(first, 'GET')).json()
  assert.deepEqual([sessions.length, sessions.filter((s) => s.current).length], [3, 1])
  const { claims } = await ok(third.getClaims())
  assert.equal((await call(first, 'DELETE', `/${claims.session_id}`)).status, 204)
  await refused(third.refreshSession(), 'refresh_token_not_found')

  await ok(first.signOut({ scope: 'others' }))
  await refused(second.refreshSession(), 'refresh_token_not_found')
  await ok(first.refreshSession())
  const last = await signedIn(email)
  await ok(first.signOut({ scope: 'local' }))
  await ok(last.refreshSession())
  await ok(last.signOut({ scope: 'global' }))
  await signedIn(email)
})
