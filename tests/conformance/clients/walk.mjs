// What an integrator does with fhir-kit-client, from metadata to the acknowledged Task; prints one JSON object per step.
import { createInterface } from "node:readline";
import { Client } from "fhir-kit-client";

const lines = [];
for await (const line of createInterface({ input: process.stdin })) lines.push(line);
const { baseUrl, response, identified } = JSON.parse(lines.join("\n"));
const resourceType = "QuestionnaireResponse";
const client = new Client({ baseUrl });
const prefer = { headers: { Prefer: "return=representation" } };

function tell(step, result) {
  process.stdout.write(`${JSON.stringify({ step, result })}\n`);
}

async function eventually(look) {
  for (let tries = 0; tries < 600; tries += 1) {
    const seen = await look();
    if (seen) return seen;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("not within 30 s");
}

const statement = await client.capabilityStatement();
tell("metadata", statement.fhirVersion);

const created = await client.create({ resourceType, body: response, options: prefer });
tell("create", [created.id !== undefined, created.meta.versionId]);

const read = await client.read({ resourceType, id: created.id });
tell("read", read.item.length === response.item.length);
tell("vread", (await client.vread({ resourceType, id: created.id, version: "1" })).meta.versionId);

const again = { headers: { "If-None-Exist": `identifier=${identified}`, ...prefer.headers } };
tell("conditional create", (await client.create({ resourceType, body: response, options: again })).id === created.id);

const matching = { headers: { "If-Match": `W/"${read.meta.versionId}"`, ...prefer.headers } };
const amended = { ...read, status: "amended" };
const updated = await client.update({ resourceType, id: created.id, body: amended, options: matching });
tell("update", [updated.status, updated.meta.versionId]);

const history = await client.history({ resourceType, id: created.id });
tell("history", history.entry.map((entry) => entry.resource.meta.versionId));

let page = await client.search({ resourceType: "Questionnaire", searchParams: { _count: 1 } });
tell("search", page.resourceType);
const seen = [];
page = await client.search({ resourceType, searchParams: { _count: 2 } });
while (page) {
  seen.push(...page.entry.map((entry) => entry.resource.id));
  page = page.link.some((link) => link.relation === "next") ? await client.nextPage({ bundle: page }) : undefined;
}
tell("paging", [seen.length === new Set(seen).size, seen.length > 2, seen.includes(created.id)]);

const identifier = `https://sural.example/fhir/sid/qr|${created.id}`;
const only = async (type) => {
  const found = await client.search({ resourceType: type, searchParams: { identifier } });
  return found.entry?.[0]?.resource;
};
const assessment = await eventually(() => only("RiskAssessment"));
tell("assessment", assessment.resourceType);
const acknowledged = await eventually(async () => {
  const task = await only("Task");
  if (!task) return undefined;
  const accepted = { ...task, status: "accepted", owner: { display: "Dr Kit" } };
  const ifMatch = { headers: { "If-Match": `W/"${task.meta.versionId}"` } };
  try {
    return await client.update({ resourceType: "Task", id: task.id, body: accepted, options: ifMatch });
  } catch (error) {
    if (error.response?.status === 412) return undefined; // changed in between: read it again
    throw error;
  }
});
tell("acknowledge", [acknowledged.status, acknowledged.owner.display]);

try {
  await client.create({ resourceType, body: { resourceType, status: "done" } });
} catch (error) {
  tell("refusal", [error.response.status, error.response.data.resourceType]);
}
