import { createServer } from 'node:http'
import { connect } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { whileConnected } from '../../src/http/while-connected.ts'
import { until } from '../support/process.ts'

it('tells when the one who asked is gone, and leaves nothing on a connection that lives on', async () => {
  const seen: { listeners: number; aborted: boolean }[] = []
  let hold = Promise.resolve()
  let held = false
  const server = createServer((request, response) => {
    const before = request.socket.listenerCount('close')
    void whileConnected(request, async gone => {
      held = seen.length === 2
      await Promise.race([hold, new Promise(resolve => gone.addEventListener('abort', resolve))])
      return gone.aborted
    }).then(aborted => {
      seen.push({ listeners: request.socket.listenerCount('close') - before, aborted })
      response.end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const socket = connect(address.port, '127.0.0.1')
  for (const answered of [1, 2]) {
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => seen.length === answered, 'it is answered')
  }
  expect(seen).toEqual([
    { listeners: 0, aborted: false },
    { listeners: 0, aborted: false },
  ])
  hold = new Promise(() => {})
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => held, 'it is held')
  socket.destroy()
  await until(() => seen.length === 3, 'the third one is let go')
  expect(seen[2]?.aborted).toBe(true)
})
