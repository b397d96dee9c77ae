// Requests of the page to the gateway's REST.

const TIMEOUT_MS = 8000;

/** Why a request was not served; `missing` where the gateway does not know it or has nothing. */
export class RestError extends Error {
  constructor(message: string, readonly status: number) {
    super(message);
  }

  get missing(): boolean {
    return this.status === 404 || this.status === 405;
  }
}

/** Requests with the page's credential. */
export class Rest {
  constructor(private readonly headers: () => Record<string, string>) {}

  /** The JSON of a path. Raises `RestError`. */
  get<Answer>(path: string): Promise<Answer> {
    return this.ask<Answer>(path, {});
  }

  /** The JSON of what was posted as JSON. Raises `RestError`. */
  post<Answer>(path: string, body: object): Promise<Answer> {
    return this.ask<Answer>(path, {
      method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
    });
  }

  private async ask<Answer>(path: string, request: RequestInit): Promise<Answer> {
    let answer: Response;
    try {
      const headers = { ...this.headers(), ...(request.headers as Record<string, string>) };
      answer = await fetch(path, { ...request, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
    } catch {
      throw new RestError("The gateway did not answer.", 0);
    }
    const body: unknown = await answer.json().catch(() => null);
    if (!answer.ok) throw new RestError(detail(body) ?? `The gateway answered ${answer.status}.`, answer.status);
    return body as Answer;
  }
}

/** The text of problem details (RFC 9457). */
function detail(body: unknown): string | null {
  if (typeof body !== "object" || body === null) return null;
  const { detail: text, title } = body as { detail?: unknown; title?: unknown };
  return typeof text === "string" ? text : typeof title === "string" ? title : null;
}
