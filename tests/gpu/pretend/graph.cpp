// Graphs: what a stream was given while it noted, done in that order.

#include <cstring>
#include <map>
#include <mutex>

#include "card.hpp"
#include "launch.hpp"

#define API extern "C" __attribute__((visibility("default"))) int

using namespace card;

namespace {

struct Graph {
  std::vector<Node*> nodes;
};

// A graph that can be launched: its own copy of the nodes.
struct Whole {
  std::vector<Node> nodes;
  std::map<const Node*, size_t> places;
};

std::mutex guard;
std::map<void*, Graph*> noting;
thread_local Node* last;

Graph* graph_of(void* stream) {
  std::lock_guard lock(guard);
  auto found = noting.find(stream);
  return found == noting.end() ? nullptr : found->second;
}

int run(Node& node) {
  if (!node.function) return node.run();
  std::vector<void*> arguments;
  for (auto& argument : node.arguments) arguments.push_back(argument.data());
  return launch(*node.function, node.launch, arguments.data());
}

// As cuda.h lays it out.
struct Told {
  const Function* function;
  unsigned blocks[3], threads[3], shared;
  void** arguments;
  void** extra;
  void* kernel;
  void* context;
};

}  // namespace

namespace card {

bool is_noting(void* stream) { return graph_of(stream) != nullptr; }

int wait_for_all(const char* what) {
  std::lock_guard lock(guard);
  return noting.empty() ? Success : failure(NotWhileNoting, std::string(what) + " while a graph is noted");
}

bool notes(void* stream, Node node) {
  Graph* graph = graph_of(stream);
  if (graph) graph->nodes.push_back(new Node(std::move(node)));
  return graph != nullptr;
}

}  // namespace card

API cuStreamBeginCapture_v2(void* stream, int) {
  std::lock_guard lock(guard);
  if (noting.count(stream)) return failure(InvalidValue, "the stream is noting already");
  noting[stream] = new Graph;
  return Success;
}
API cuStreamEndCapture(void* stream, Graph** graph) {
  std::lock_guard lock(guard);
  auto found = noting.find(stream);
  if (found == noting.end()) return failure(InvalidValue, "the stream was not noting");
  *graph = found->second;
  noting.erase(found);
  return Success;
}
API cuStreamIsCapturing(void* stream, int* status) { return *status = is_noting(stream), Success; }
API cuStreamGetCaptureInfo_v3(void* stream, int* status, uint64_t*, Graph** graph, Node* const** nodes, const void** edges,
                              size_t* count) {
  Graph* found = graph_of(stream);
  *status = found != nullptr;
  if (!found) return Success;
  if (graph) *graph = found;
  *count = !found->nodes.empty();
  last = found->nodes.empty() ? nullptr : found->nodes.back();
  *nodes = &last;
  if (edges) *edges = nullptr;
  return Success;
}

API cuGraphInstantiateWithFlags(Whole** whole, Graph* graph, unsigned long long) {
  *whole = new Whole;
  for (Node* node : graph->nodes) {
    (*whole)->places[node] = (*whole)->nodes.size();
    (*whole)->nodes.push_back(*node);
  }
  return Success;
}
API cuGraphExecKernelNodeSetParams_v2(Whole* whole, Node* node, const Told* told) {
  auto found = whole->places.find(node);
  if (found == whole->places.end()) return failure(InvalidValue, "the node is of another graph");
  Node& own = whole->nodes[found->second];
  if (!own.function || own.function->kernel != told->function->kernel)
    return failure(InvalidValue, "the node is not of this kernel");
  own.launch = {{told->blocks[0], told->blocks[1], told->blocks[2]},
                {told->threads[0], told->threads[1], told->threads[2]},
                told->shared};
  for (size_t at = 0; at < own.arguments.size(); at++)
    memcpy(own.arguments[at].data(), told->arguments[at], own.arguments[at].size());
  return Success;
}
API cuGraphLaunch(Whole* whole, void* stream) {
  if (is_noting(stream)) return failure(NotSupported, "a graph within a graph");
  if (is_idle()) return Success;
  for (Node& node : whole->nodes)
    if (int bad = run(node)) return bad;
  return Success;
}
API cuGraphExecDestroy(Whole* whole) { return delete whole, Success; }
API cuGraphDestroy(Graph* graph) {
  for (Node* node : graph->nodes) delete node;
  return delete graph, Success;
}
