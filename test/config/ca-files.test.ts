import { once } from 'node:events'
import { connect, createServer } from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { certificatesIn } from '../../src/config/ca-files.ts'
import { makeCertificate } from '../../src/simulator/certificate.ts'
import { until } from '../support/process.ts'

const made = await makeCertificate('localhost')

it.each(['CERTIFICATE', 'TRUSTED CERTIFICATE', 'X509 CERTIFICATE'])(
  'a CA file may name its certificates %s, as Node’s TLS takes them',
  async label => {
    const server = createServer({ cert: made.cert, key: made.key }).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('it has a port')
    const ca = certificatesIn(`# of ours\r\n${made.ca.replaceAll('CERTIFICATE', label)}`)
    expect(ca).toHaveLength(1)
    const socket = connect({ port: address.port, host: '127.0.0.1', servername: 'localhost', ca })
    onTestFinished(() => void socket.destroy())
    await until(() => socket.authorized, 'its certificate is trusted')
  },
)

it('tells a damaged certificate among good ones, which Node would leave out, and finds none in anything else', () => {
  const damaged = made.ca.replace(/\n.{64}\n/, '\n')
  expect(() => certificatesIn(made.ca + damaged)).toThrow()
  for (const other of ['', 'hello', made.key]) expect(certificatesIn(other)).toEqual([])
})
