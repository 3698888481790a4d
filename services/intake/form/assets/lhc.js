// Glue between LHC-Forms and our own addresses. It judges nothing: what is an emergency, and what is missing, is said by
// the server.

const place = document.getElementById("form");
const base = place.dataset.form;
const LOOK_AFTER_MS = 500;
const LOOK_AGAIN_MS = 5000; // while the server cannot say

const state = document.getElementById("state");
const wrong = document.getElementById("wrong");
const advice = document.getElementById("advice");

async function json(path) {
  const answer = await fetch(`${base}/${path}`);
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

function filledIn() {
  return LForms.Util.getFormFHIRData("QuestionnaireResponse", "R4", place);
}

async function post(path) {
  const headers = { "Content-Type": "application/fhir+json" };
  return fetch(`${base}/${path}`, { method: "POST", headers, body: JSON.stringify(filledIn()) });
}

function showAdvice(said) {
  advice.replaceChildren();
  if (!said.emergency) return;
  const call = document.getElementById("call").content.cloneNode(true);
  call.querySelector("p:last-of-type").textContent = said.text;
  advice.append(call);
}

// What the server cannot say is not taken for "no"; a call for help that stands stays. It is asked again.
function showUnknown() {
  clearTimeout(waiting);
  waiting = setTimeout(look, LOOK_AGAIN_MS);
  if (advice.querySelector(".emergency")) return;
  advice.replaceChildren(document.getElementById("unknown").content.cloneNode(true));
}

// Only the newest question to the server counts: an older answer may come later.
let asked = 0;
let waiting;
async function look() {
  const mine = ++asked;
  try {
    const said = await (await post("advice")).json();
    if (mine !== asked) return;
    if (said.known) showAdvice(said);
    else showUnknown();
  } catch {
    if (mine === asked) showUnknown();
  }
}
function lookSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(look, LOOK_AFTER_MS);
}

function showWrong(sentences) {
  wrong.replaceChildren();
  if (!sentences.length) return;
  const list = document.createElement("ul");
  for (const sentence of sentences) list.append(Object.assign(document.createElement("li"), { textContent: sentence }));
  const box = Object.assign(document.createElement("section"), { className: "faults" });
  box.append(Object.assign(document.createElement("h2"), { textContent: "Your answers could not be sent" }), list);
  wrong.append(box);
}

async function store(finished) {
  state.textContent = "Sending …";
  showWrong([]);
  try {
    const answer = await post(`answers?finished=${finished}`);
    const said = await answer.json();
    if (answer.ok && said.next) location.assign(said.next);
    state.textContent = answer.ok ? "Stored." : "Not sent.";
    showWrong(said.wrong ?? []);
  } catch {
    state.textContent = "Not sent: the server does not answer. Try again.";
  }
}

const [definition, draft] = await Promise.all([json("definition"), json("draft")]);
let form = LForms.Util.convertFHIRQuestionnaireToLForms(definition, "R4");
if (draft.item) form = LForms.Util.mergeFHIRDataIntoLForms("QuestionnaireResponse", draft, form, "R4");
place.replaceChildren();
await LForms.Util.addFormToPage(form, place, { prepopulate: false });
for (const event of ["change", "input", "click"]) place.addEventListener(event, lookSoon);
document.getElementById("save").addEventListener("click", () => store(false));
document.getElementById("send").addEventListener("click", () => store(true));
place.dataset.ready = "yes";
if (draft.item) look();
