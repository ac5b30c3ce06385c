import { z } from 'zod'

/**
 * An HTTP proxy: `http://proxy.example.com:3128`, with `user:password@` before the host where it wants them, special characters
 * percent-encoded. Undefined when the text is none.
 */
export function parseProxyUrl(text: string): URL | undefined {
  // No repair by URL(): it forgives backslashes, spaces and lost slashes.
  if (!/^https?:\/\/(?:[^\s\\/@?#]*@)?[^\s\\/@?#]+\/?$/i.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  try {
    for (const part of [url.username, url.password]) decodeURIComponent(part)
  } catch {
    return undefined
  }
  return url
}

export const proxyUrl = z
  .string()
  .refine(text => parseProxyUrl(text) !== undefined)
  .meta({ expected: 'a proxy such as http://proxy.example.com:3128, with user:password@ before the host if need be' })
