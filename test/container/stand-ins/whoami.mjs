import { createServer } from 'node:http'

const port = Number(/^--port=(\d+)$/.exec(process.argv[2] ?? '')?.[1] ?? 80)
const server = createServer((request, response) => {
  const lines = []
  for (let i = 0; i < request.rawHeaders.length; i += 2)
    lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`)
  response.end(`${request.method} ${request.url} HTTP/1.1\n${lines.join('\n')}\n`)
}).listen(port)
process.on('SIGTERM', () => server.close(() => process.exit(0)))
