import { Message, Verdict, accept, inbound, quarantine } from "./postern";
export { postern_init } from "./postern";

let asked: i32 = 0;

function rule(m: Message): Verdict {
  asked++;
  const label = "n" + asked.toString();
  if (m.header("Subject").toLowerCase().includes("invoice") && !m.header("From").endsWith("@bank.example>")) {
    return quarantine("an invoice of a stranger").label(label);
  }
  if (m.header("List-Unsubscribe") != "") return accept().folder("Newsletters").label(label);
  return accept().label(label);
}

export function postern_inbound(): i32 { return inbound(rule); }
