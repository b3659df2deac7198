// SPDX-License-Identifier: GPL-2.0-only
#include "utils/nids.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <memory>
#include <regex>

namespace lull::utils {
namespace {

void add(Nids& nids, const std::string& address)
{
    std::string nid = address + "@tcp";
    if (std::find(nids.list.begin(), nids.list.end(), nid) == nids.list.end())
        nids.list.push_back(nid);
}

bool is_host_address(const in_addr& a)
{
    uint32_t n = ntohl(a.s_addr);
    return n >> 24 != 0 && n >> 28 < 14;  // neither "this network", multicast nor broadcast
}

bool is_loopback(const in_addr& a) { return ntohl(a.s_addr) >> 24 == 127; }

// The error, or "".
std::string add_by_name(Nids& nids, const std::string& name)
{
    addrinfo hints = {}, *found = nullptr;
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    if (int bad = getaddrinfo(name.c_str(), nullptr, &hints, &found))
        return "the host name \"" + name + "\" has no IPv4 address: " + gai_strerror(bad);
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(found, freeaddrinfo);
    size_t usable = 0;
    for (const addrinfo* one = found; one; one = one->ai_next) {
        char text[INET_ADDRSTRLEN];
        const in_addr& address = reinterpret_cast<const sockaddr_in*>(one->ai_addr)->sin_addr;
        if (!is_host_address(address) || (is_loopback(address) && name != "localhost")) continue;
        if (!inet_ntop(AF_INET, &address, text, sizeof text)) continue;
        usable++;
        add(nids, text);
    }
    // Debian's installer writes a node's own name into /etc/hosts so.
    if (usable == 0)
        return "the host name \"" + name +
               "\" is an address here that no other node can reach (127.0.1.1 in /etc/hosts?): "
               "write the address";
    return "";
}

std::string add_one(Nids& nids, const std::string& text)
{
    size_t at = text.find('@');
    std::string host = text.substr(0, at);
    if (at != std::string::npos && text.substr(at) != "@tcp")
        return "\"" + text + "\": the only network is tcp, as in 10.0.0.1@tcp";
    static const std::regex numbers("[0-9.]+"),
        name("[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\\.[A-Za-z0-9_-]+)*");
    in_addr address;
    if (std::regex_match(host, numbers)) {
        if (inet_pton(AF_INET, host.c_str(), &address) != 1 || !is_host_address(address))
            return "\"" + text + "\": " + host + " is not the address of a host";
        add(nids, host);
        return "";
    }
    if (!std::regex_match(host, name))
        return "\"" + text + "\" is not a NID: write it like 10.0.0.1@tcp or mds1@tcp";
    return add_by_name(nids, host);
}

}  // namespace

std::string Nids::joined() const
{
    std::string out;
    for (const std::string& nid : list) out += (out.empty() ? "" : ":") + nid;
    return out;
}

Nids resolve_nids(const std::vector<std::string>& words)
{
    Nids nids;
    for (const std::string& word : words)
        for (size_t at = 0; at <= word.size();) {
            size_t end = std::min(word.find_first_of(":,", at), word.size());
            std::string why = end == at ? "\"" + word + "\" has an empty NID in it"
                                        : add_one(nids, word.substr(at, end - at));
            if (!why.empty()) return {why, {}};
            at = end + 1;
        }
    return nids;
}

}  // namespace lull::utils
