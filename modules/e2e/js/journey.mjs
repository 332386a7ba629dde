// The basic journey of a supabase-js app: from sign-up to sign-out, through rows
// under row level security, a function, and stored files. It needs MADBASE_URL,
// ANON_KEY and SERVICE_KEY, and the schema of schema.sql.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { createClient } from '@supabase/supabase-js'

const { MADBASE_URL: url, ANON_KEY: anonKey, SERVICE_KEY: serviceKey } = process.env
const app = () => createClient(url, anonKey, { auth: { persistSession: false, autoRefreshToken: false } })
const email = (name) => `${name}-${randomUUID()}@example.com`
const password = 'correct horse battery'

// ok returns an answer's data, and fails with the answer's error.
async function ok(answer) {
  const { data, error, ...rest } = await answer
  assert.equal(error, null, JSON.stringify(error))
  return { data, ...rest }
}

async function signedUp(name) {
  const client = app()
  const address = email(name)
  const { data } = await ok(client.auth.signUp({ email: address, password, options: { data: { name } } }))
  assert.ok(data.session.access_token && data.session.refresh_token)
  assert.equal(data.user.email, address)
  return { client, address, user: data.user }
}

test('auth: sign up, sign in, refresh, change, sign out', async () => {
  const { client, address, user } = await signedUp('ann')
  assert.equal(user.user_metadata.name, 'ann')

  const again = app()
  const wrong = await again.auth.signInWithPassword({ email: address, password: 'wrong' })
  assert.equal(wrong.error.code, 'invalid_credentials')
  const { data: signedIn } = await ok(again.auth.signInWithPassword({ email: address, password }))
  assert.equal(signedIn.user.id, user.id)

  const { data: refreshed } = await ok(again.auth.refreshSession())
  assert.notEqual(refreshed.session.refresh_token, signedIn.session.refresh_token)
  const { data: me } = await ok(again.auth.getUser())
  assert.equal(me.user.id, user.id)
  const { data: changed } = await ok(again.auth.updateUser({ data: { colour: 'green' } }))
  assert.deepEqual([changed.user.user_metadata.name, changed.user.user_metadata.colour], ['ann', 'green'])
  const { data: claims } = await ok(again.auth.getClaims())
  assert.equal(claims.claims.sub, user.id)

  const token = refreshed.session.access_token
  await ok(again.auth.signOut())
  const gone = await client.auth.getUser(token)
  assert.equal(gone.error?.name, 'AuthSessionMissingError') // how the client takes session_not_found

  const taken = await app().auth.signUp({ email: address, password })
  assert.equal(taken.error.code, 'user_already_exists')
})

test('rows: one user writes and reads, another sees nothing', async () => {
  const ann = await signedUp('ann')
  const bob = await signedUp('bob')
  const notes = (client) => client.from('notes')

  const { data: inserted, status } = await ok(
    notes(ann.client)
      .insert([
        { title: 'a', rank: 1, tags: ['x', 'y'], detail: { colour: 'red' } },
        { title: 'b', rank: 2, tags: ['y'], detail: { colour: 'blue' } },
        { title: 'c', rank: 3, tags: [], detail: {} },
      ])
      .select(),
  )
  assert.equal(status, 201)
  assert.ok(inserted.every((n) => n.owner === ann.user.id))

  const page = await ok(
    notes(ann.client).select('title, rank', { count: 'exact' }).gte('rank', 1).order('rank', { ascending: false }).range(0, 1),
  )
  assert.deepEqual(page.data, [{ title: 'c', rank: 3 }, { title: 'b', rank: 2 }])
  assert.equal(page.count, 3)
  const titles = async (query) => (await ok(query.order('rank'))).data.map((n) => n.title).join('')
  assert.equal(await titles(notes(ann.client).select().in('title', ['a', 'c'])), 'ac')
  assert.equal(await titles(notes(ann.client).select().contains('tags', ['y'])), 'ab')
  assert.equal(await titles(notes(ann.client).select().eq('detail->>colour', 'red')), 'a')
  assert.equal(await titles(notes(ann.client).select().or('rank.eq.1,title.ilike.C')), 'ac')
  assert.equal(await titles(notes(ann.client).select().not('title', 'is', null).neq('title', 'b')), 'ac')
  const { data: one } = await ok(notes(ann.client).select('colour:detail->>colour').eq('title', 'b').single())
  assert.deepEqual(one, { colour: 'blue' })
  const none = await notes(ann.client).select().eq('title', 'nothing').single()
  assert.equal(none.error.code, 'PGRST116')
  assert.equal((await ok(notes(ann.client).select('*', { count: 'exact', head: true }))).count, 3)

  assert.deepEqual((await ok(notes(bob.client).select())).data, [])
  assert.deepEqual((await ok(notes(app()).select())).data, [])
  const forged = await notes(bob.client).insert({ title: 'forged', rank: 9, owner: ann.user.id })
  assert.deepEqual([forged.status, forged.error.code], [403, '42501'])
  assert.deepEqual((await ok(notes(bob.client).update({ title: 'mine' }).eq('title', 'a').select())).data, [])

  const { data: updated } = await ok(notes(ann.client).update({ rank: 10 }).eq('title', 'a').select('title,rank').single())
  assert.deepEqual(updated, { title: 'a', rank: 10 })
  const { data: upserted } = await ok(
    notes(ann.client).upsert([{ id: inserted[1].id, title: 'b2', rank: 2 }, { title: 'd', rank: 4 }], { defaultToNull: false }).select('title').order('title'),
  )
  assert.deepEqual(upserted, [{ title: 'b2' }, { title: 'd' }])
  const { data: deleted } = await ok(notes(ann.client).delete().eq('title', 'd').select('title'))
  assert.deepEqual(deleted, [{ title: 'd' }])

  await ok(ann.client.from('comments').insert({ note: inserted[0].id, body: 'first' }))
  const { data: nested } = await ok(notes(ann.client).select('title, comments(body)').eq('id', inserted[0].id).single())
  assert.deepEqual(nested, { title: 'a', comments: [{ body: 'first' }] })
  const { data: up } = await ok(ann.client.from('comments').select('body, notes!inner(title)').eq('notes.title', 'a'))
  assert.deepEqual(up, [{ body: 'first', notes: { title: 'a' } }])
  const service = createClient(url, serviceKey, { auth: { persistSession: false } })
  assert.equal((await ok(service.from('notes').select('*', { count: 'exact', head: true }).eq('owner', ann.user.id))).count, 3)
})

test('rpc: by POST and by GET, as the caller', async () => {
  const { client, user } = await signedUp('ann')
  await ok(client.from('notes').insert({ title: 'mine', rank: 5 }))
  assert.equal((await ok(client.rpc('add', { a: 2, b: 3 }))).data, 5)
  assert.equal((await ok(client.rpc('add', { a: 2, b: 3 }, { get: true }))).data, 5)
  assert.equal((await ok(client.rpc('whoami'))).data, user.id)
  const { data: rows } = await ok(client.rpc('my_notes').select('title').gt('rank', 1))
  assert.deepEqual(rows, [{ title: 'mine' }])
  const missing = await client.rpc('no_such_function')
  assert.equal(missing.error.code, 'PGRST202')
})

test('storage: bucket, upload, list, download, signed URL, remove', async () => {
  const { client, user } = await signedUp('ann')
  const other = await signedUp('bob')
  const service = createClient(url, serviceKey, { auth: { persistSession: false } })
  const bucket = `files-${randomUUID()}`
  await ok(service.storage.createBucket(bucket, { public: false, fileSizeLimit: '1mb', allowedMimeTypes: ['text/*'] }))
  assert.ok((await ok(service.storage.listBuckets())).data.some((b) => b.id === bucket))

  const mine = client.storage.from(bucket)
  const theirs = other.client.storage.from(bucket)
  const path = `${user.id}/deep/hello.txt`
  const { data: stored } = await ok(mine.upload(path, new Blob(['hello world'], { type: 'text/plain' }), { metadata: { kind: 'greeting' } }))
  assert.equal(stored.fullPath, `${bucket}/${path}`)
  assert.equal((await mine.upload(path, 'again', { contentType: 'text/plain' })).error.statusCode, '409')
  await ok(mine.upload(path, 'hello again', { contentType: 'text/plain', upsert: true }))
  assert.equal((await mine.upload(`${user.id}/x.png`, 'png', { contentType: 'image/png' })).error.statusCode, '415')
  assert.equal((await mine.upload(`${user.id}/big.txt`, 'x'.repeat(1100000), { contentType: 'text/plain' })).error.statusCode, '413')
  assert.equal((await theirs.upload(`${user.id}/forged.txt`, 'no', { contentType: 'text/plain' })).error.statusCode, '403')

  assert.deepEqual((await ok(mine.list(user.id))).data.map((f) => f.name), ['deep'])
  assert.deepEqual((await ok(mine.list(`${user.id}/deep`))).data.map((f) => [f.name, f.metadata.size]), [['hello.txt', 11]])
  assert.deepEqual((await ok(theirs.list(`${user.id}/deep`))).data, [])
  assert.equal(await (await ok(mine.download(path))).data.text(), 'hello again')
  assert.ok((await theirs.download(path)).error)
  assert.equal((await ok(mine.info(path))).data.size, 11)
  assert.equal((await mine.exists(path)).data, true)

  const { data: signed } = await ok(mine.createSignedUrl(path, 60))
  const answer = await fetch(signed.signedUrl)
  assert.deepEqual([answer.status, await answer.text()], [200, 'hello again'])
  assert.equal((await fetch(signed.signedUrl.replace('hello.txt', 'other.txt'))).ok, false)
  const partial = await fetch(signed.signedUrl, { headers: { range: 'bytes=0-4' } })
  assert.deepEqual([partial.status, await partial.text()], [206, 'hello'])

  const copied = `${user.id}/copy.txt`
  await ok(mine.copy(path, copied))
  await ok(mine.move(copied, `${user.id}/moved.txt`))
  assert.deepEqual((await ok(mine.remove([path, `${user.id}/moved.txt`]))).data.length, 2)
  assert.ok((await mine.download(path)).error)
  await ok(service.storage.deleteBucket(bucket))
})

test('admin: users by the service key alone', async () => {
  const service = createClient(url, serviceKey, { auth: { persistSession: false } })
  const address = email('carol')
  const { data: created } = await ok(service.auth.admin.createUser({ email: address, password, email_confirm: true }))
  assert.ok((await ok(service.auth.admin.listUsers())).data.users.length > 0)
  await ok(app().auth.signInWithPassword({ email: address, password }))
  await ok(service.auth.admin.deleteUser(created.user.id))
  assert.ok((await app().auth.admin.listUsers()).error)
  assert.equal((await app().auth.signInWithPassword({ email: address, password })).error.code, 'invalid_credentials')
})

test('keys: none and a wrong one are refused', async () => {
  assert.equal((await fetch(`${url}/rest/v1/notes`)).status, 401)
  assert.equal((await fetch(`${url}/rest/v1/notes`, { headers: { apikey: 'sb_secret_guess' } })).status, 401)
  assert.equal((await fetch(`${url}/rest/v1/notes?apikey=${anonKey}`)).status, 200)
})
