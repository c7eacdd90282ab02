#!/usr/bin/env bash
# The Python package: its tests with the real frameworks in front of the real program, its types, and the wheel from a clone.
. "$(dirname "$0")/tools.sh"

debian python3 python3 python3-venv
cargo build --locked --quiet
export COUNTERSIGN=$PWD/target/debug/countersign COUNTERSIGN_TESTLOG=$PWD/target/debug/countersign-testlog

# environment NAME PIP-ARGUMENT…: a fresh virtual environment below target.
environment() {
  local folder=target/python/$1
  shift
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
}

echo "-- with LangChain, OpenAI Agents and the Claude Agent SDK"
environment frameworks -r src/python/tests/requirements.txt
FRAMEWORKS=langchain,langgraph,agents,claude_agent_sdk target/python/frameworks/bin/python -m pytest src/python
(cd src/python && ../../target/python/frameworks/bin/mypy)
echo "-- with CrewAI, which pins other versions"
environment crewai -r src/python/tests/requirements-crewai.txt
FRAMEWORKS=crewai target/python/crewai/bin/python -m pytest src/python/tests/test_crewai.py
echo "-- the wheel, as pip builds it from a clone, without optimisation"
MATURIN_PEP517_ARGS="--profile dev" CARGO_TARGET_DIR=$PWD/target environment wheel ./src/python
(cd / && env -u COUNTERSIGN "$OLDPWD/target/python/wheel/bin/python" -c '
import countersign
try:
    countersign.require_approval("alex", "Deploy", {"service": "api"})
except countersign.UsageError as error:
    print("installed, and says what is missing:", str(error).splitlines()[0])')
target/python/wheel/bin/countersign --version
