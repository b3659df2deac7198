// SPDX-License-Identifier: GPL-2.0-only
// lctl: parameters and devices of Lull's kernel modules, with the verbs administrators of Lustre
// know.
#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "include/lull/user_api.h"
#include "utils/control.h"
#include "utils/wait_param.h"

namespace {

using lull::utils::Answer;
using lull::utils::control;

// The kernel answers with a number; what it means here.
std::string explain(uint32_t command, const Answer& answer)
{
    bool set = command == LULL_CTL_SET;
    switch (command == LULL_CTL_PING ? 0 : answer.error) {
    case ENOENT: return "no such parameter on this node (lctl list_param shows all)";
    case EACCES: return set ? "the parameter is read-only" : "the parameter is write-only";
    case EINVAL: return set ? "invalid value" : "invalid argument";
    default: return answer.text;
    }
}

int fail(uint32_t command, const std::string& what, const Answer& answer)
{
    std::string text = explain(command, answer);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    fprintf(stderr, "lctl: %s: %s\n", what.c_str(), text.c_str());
    return answer.error ? answer.error : 1;
}

void print(const std::string& text)
{
    fwrite(text.data(), 1, text.size(), stdout);
    if (!text.empty() && text.back() != '\n') putchar('\n');
}

// "name=value" lines without "name=" (only at the beginning of a parameter; further lines of a
// value stay).
void print_values_only(const std::string& text)
{
    size_t at = 0;
    while (at < text.size()) {
        size_t end = text.find('\n', at);
        if (end == std::string::npos) end = text.size();
        std::string line = text.substr(at, end - at);
        size_t equals = line.find('=');
        // has no dot
        bool of_the_node = line.rfind("at_", 0) == 0 || line.rfind("ldlm_enqueue_min=", 0) == 0;
        bool names_parameter = equals != std::string::npos &&
                               (of_the_node || line.find('.') < equals) && line.find(' ') > equals;
        // of several lines, on lines of their own
        bool value_follows = names_parameter && equals + 1 == line.size();
        if (!value_follows)
            printf("%s\n", names_parameter ? line.c_str() + equals + 1 : line.c_str());
        at = end + 1;
    }
}

int each(uint32_t command, const std::string& verb, const std::vector<std::string>& inputs,
         bool values_only = false)
{
    int worst = 0;
    for (const std::string& input : inputs) {
        Answer answer = control(command, input);
        if (answer.error) worst = fail(command, verb + " " + input, answer);
        else if (values_only) print_values_only(answer.text);
        else if (command != LULL_CTL_SET) print(answer.text);
    }
    return worst;
}

int set_params(const std::vector<std::string>& words, bool quiet)
{
    std::vector<std::string> inputs;
    for (size_t i = 0; i < words.size(); i++) {
        if (words[i].find('=') != std::string::npos) inputs.push_back(words[i]);
        else if (i + 1 < words.size()) {  // "name value", as lctl of old took it
            inputs.push_back(words[i] + "=" + words[i + 1]);
            i++;
        } else {
            fprintf(stderr, "lctl: set_param %s: no value given, write NAME=VALUE\n",
                    words[i].c_str());
            return 22;
        }
    }
    int worst = each(LULL_CTL_SET, "set_param", inputs);
    if (!worst && !quiet)
        for (const std::string& input : inputs) print(input);
    return worst;
}

// What an administrator tells the MGS, on its node: it is kept there and told to everybody.
int conf_params(const std::vector<std::string>& settings)
{
    int worst = 0;
    for (const std::string& setting : settings) {
        Answer answer = control(LULL_CTL_SET, "mgs.MGS.conf_param=" + setting);
        if (!answer.error) continue;
        bool no_mgs = control(LULL_CTL_LIST, "mgs.MGS.conf_param").error == ENOENT;
        std::string why = no_mgs                   ? "the MGS does not run on this node"
                          : answer.error == ENOENT ? "no such OST is registered"
                          : answer.error == EINVAL ? "write it as lull-OST0001.osc.active=0|1, or "
                                                     "lull-OST0001.osc.max_create_count=N"
                                                   : answer.text;
        fprintf(stderr, "lctl: conf_param %s: %s\n", setting.c_str(), why.c_str());
        worst = answer.error;
    }
    return worst;
}

// What the MGS says of a removal (mgs/registry.h).
std::string explain_removal(const std::string& ost, const Answer& answer)
{
    switch (answer.error) {
    case ENOENT: return "no such OST is registered";
    case EINVAL: return "that is no OST: write its name as lull-OST0001";
    case EAGAIN:
        return "the MDT has not told the MGS yet which OSTs it uses: is it running? Try again";
    case EBUSY:
        return "the MDT has been connected to it: files may have objects there, which would be "
               "lost. Find them (getfattr -n lull.layout shows a file's OSTs), copy and remove "
               "them. Then, or if they may be lost: lctl conf_param " +
               ost + ".osc.active=0, and lctl del_ost --force " + ost;
    case EPERM:
        return "it is active: --force is for one that nobody uses any more, so first: lctl "
               "conf_param " +
               ost + ".osc.active=0";
    default: return answer.text;
    }
}

// For good, on the node of the MGS.
int del_ost(const std::string& ost, bool force)
{
    Answer answer = control(LULL_CTL_SET, "mgs.MGS.del_ost=" + ost + (force ? " force" : ""));
    if (!answer.error) {
        printf("%s is removed from the configuration; its index is not used again\n", ost.c_str());
        return 0;
    }
    bool no_mgs = control(LULL_CTL_LIST, "mgs.MGS.del_ost").error == ENOENT;
    std::string why = no_mgs ? "the MGS does not run on this node" : explain_removal(ost, answer);
    while (!why.empty() && why.back() == '\n') why.pop_back();
    fprintf(stderr, "lctl: del_ost %s: %s\n", ost.c_str(), why.c_str());
    return answer.error;
}

// What went wrong with a recovery, by the number that the parameter gives (ptlrpc/import.h).
std::string explain_recover(const Answer& answer)
{
    switch (answer.error) {
    case EINVAL: return "that is no NID of a node where this target may run";
    case ERANGE: return "the time limit is from 1 to 3600 seconds";
    case ENODEV:
        return "it has reconnected, but to another node: the target does not run at that NID";
    case ETIMEDOUT: return "not reconnected in time; the client goes on trying";
    case ESHUTDOWN: return "unmounted meanwhile";
    default: return answer.text;
    }
}

// The parameters import_recover of a device (as lctl dl names it), or of all connections of this
// node to a target.
Answer find_imports(const std::string& name, std::vector<std::string>* params)
{
    Answer found;
    for (const std::string& glob :
         {"*." + name + ".import_recover", "*." + name + "-*.import_recover"}) {
        found = control(LULL_CTL_LIST, glob);
        if (!found.error) break;
    }
    for (size_t at = 0, end; at < found.text.size() && !found.error; at = end + 1) {
        end = found.text.find('\n', at);
        if (end == std::string::npos) end = found.text.size();
        if (end > at) params->push_back(found.text.substr(at, end - at));
    }
    return found;
}

// R1: success only when every connection is FULL again.
int recover(const std::string& name, const std::string& nid, unsigned seconds)
{
    std::vector<std::string> params;
    if (Answer found = find_imports(name, &params); found.error) {
        fprintf(stderr, "lctl: recover %s: %s\n", name.c_str(),
                found.error == ENOENT
                    ? "this node has no connection to such a target (lctl dl shows all)"
                    : found.text.c_str());
        return found.error;
    }
    int worst = 0;
    for (const std::string& param : params) {
        Answer answer = control(LULL_CTL_SET, param + "=" + (nid.empty() ? "1" : nid) + " " +
                                                  std::to_string(seconds));
        if (!answer.error) continue;
        fprintf(stderr, "lctl: recover %s: %s\n", param.c_str(), explain_recover(answer).c_str());
        worst = answer.error;
    }
    return worst;
}

}  // namespace

int main(int argc, char** argv)
{
    CLI::App app{"lctl: control and inspect Lull on this node"};
    app.require_subcommand(1);
    std::vector<std::string> names;
    bool values_only = false, quiet = false;
    std::string name;

    CLI::App* get =
        app.add_subcommand("get_param", "print parameters: lctl get_param 'mdt.*.recovery_status'");
    get->add_flag("-n", values_only, "print values without names");
    get->add_option("NAME", names, "names or globs")->required();
    CLI::App* set =
        app.add_subcommand("set_param",
                           "set parameters: lctl set_param mdt.lull-MDT0000.controlled_shutdown=1");
    set->add_flag("-n", quiet, "print nothing");
    set->add_option("NAME=VALUE", names, "names or globs with values")->required();
    CLI::App* conf =
        app.add_subcommand("conf_param",
                           "on the MGS, for good: lctl conf_param lull-OST0001.osc.active=0 (what "
                           "lies there gives EIO), lull-OST0001.osc.max_create_count=0 (nothing "
                           "new there); lctl get_param mgs.MGS.conf_param shows all");
    conf->add_option("OST.osc.SETTING=VALUE", names)->required();
    bool force = false;
    CLI::App* del = app.add_subcommand(
        "del_ost",
        "on the MGS, for good: take an OST out of the configuration, one that was added by mistake "
        "and never used; lctl get_param mgs.MGS.del_ost shows all that were");
    del->add_flag("--force", force,
                  "although files may have objects there, which are lost; it has to be inactive");
    del->add_option("--target,OST", name, "lull-OST0001")->required();
    CLI::App* list = app.add_subcommand("list_param", "list names of parameters");
    bool recursive = false;
    list->add_flag("-R", recursive, "the whole tree (always so)");
    list->add_option("NAME", names, "names or globs");
    CLI::App* wait = app.add_subcommand("wait_param",
                                        "wait until parameters begin with a value: "
                                        "lctl wait_param mdt.*.controlled_shutdown halted");
    std::string wanted;
    double limit_s = 120;
    wait->add_option("-t", limit_s, "seconds, then it fails (120)")->check(CLI::NonNegativeNumber);
    wait->add_option("NAME", name, "name or glob")->required();
    wait->add_option("VALUE", wanted, "what all that match have to begin with")->required();
    CLI::App* dl = app.add_subcommand("dl", "list devices");
    CLI::App* ping = app.add_subcommand("ping", "is a node there? lctl ping 10.0.0.1@tcp");
    ping->add_option("NID", name)->required();

    std::string nid;
    unsigned seconds = 60;
    CLI::App* rec =
        app.add_subcommand("recover",
                           "connect to a target now: lctl recover lull-OST0000 10.0.0.2@tcp");
    rec->add_option("DEVICE|TARGET", name)->required();
    rec->add_option("NID", nid, "the node to try first");
    rec->add_option("--timeout", seconds, "seconds to wait until it is usable again");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        int code = app.exit(e);
        return code ? 22 : 0;
    }
    if (*get) return each(LULL_CTL_GET, "get_param", names, values_only);
    if (*set) return set_params(names, quiet);
    if (*conf) return conf_params(names);
    if (*del) return del_ost(name, force);
    if (*list)
        return each(LULL_CTL_LIST, "list_param",
                    names.empty() ? std::vector<std::string>{"*"} : names);
    if (*wait) return lull::utils::wait_param(name, wanted, limit_s);
    if (*rec) return recover(name, nid, seconds);
    if (*dl) return each(LULL_CTL_DL, "dl", {""});
    return *ping ? each(LULL_CTL_PING, "ping", {name}) : 22;
}
